/** When a figure becomes an alert: rules that come with Custodes, of the code, and those made here. */
import { Button } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useMemo } from 'react';
import { useGet } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { useFresh } from '../../live/useFresh.ts';
import { SettingsParts } from '../../shell/SettingsParts.tsx';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { IconBell, IconPlus } from '../../ui/icons.ts';
import { May } from '../../ui/May.tsx';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { Page } from '../../ui/Page.tsx';
import { PageWaiting } from '../../ui/PageStates.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint, installUrl } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import type { Rule } from './draft.ts';
import { concerns, conditionOf, holdOf, KEYS, ORIGINS } from './model.ts';
import { RuleDetail } from './RuleDetail.tsx';
import type { RulesSearch } from './routes.ts';

const Editor = lazy(() => import('./Editor.tsx').then((module) => ({ default: module.Editor })));

export function Rules() {
  const { edit }: RulesSearch = useSearch({ strict: false });
  useFresh(KEYS, concerns);
  return (
    <Page title="Settings" part="Alert rules">
      <SettingsParts current="alert-rules" />
      {edit ? (
        <Suspense fallback={<PageWaiting />}>
          <Editor key={edit} edit={edit} />
        </Suspense>
      ) : (
        <List />
      )}
    </Page>
  );
}

function List() {
  const asked = useGet('/alert-rules', undefined, { fresh: true });
  const firing = useGet('/alerts', { state: 'firing', limit: 200 }, { fresh: true });
  const { open }: RulesSearch = useSearch({ strict: false });
  const rows = asked.data?.items ?? [];
  const ofTenants = rows.some((row) => row.tenant != null);
  const fires = useMemo(() => {
    const found = new Map<string, number>();
    for (const { rule_id } of firing.data?.items ?? []) found.set(rule_id, (found.get(rule_id) ?? 0) + 1);
    return found;
  }, [firing.data]);
  const columns = useMemo<Column<Rule>[]>(
    () => [
      {
        id: 'name',
        header: 'Rule',
        cell: (row) => <span title={row.name}>{row.name}</span>,
        value: (row) => row.name,
        width: 258,
        phone: 0,
      },
      {
        id: 'state',
        header: 'State',
        cell: (row) => <RuleState rule={row} fires={fires.get(row.id) ?? 0} />,
        value: (row) => (row.enabled ? 'on' : 'off'),
        width: 96,
        phone: 108,
      },
      {
        id: 'when',
        header: 'When',
        cell: (row) => (
          <span className="mono" title={conditionOf(row)}>
            {conditionOf(row)}
          </span>
        ),
        value: conditionOf,
      },
      { id: 'hold', header: 'For', cell: holdOf, value: (row) => row.hold_seconds ?? 60, width: 56, align: 'right' },
      {
        id: 'severity',
        header: 'Severity',
        cell: (row) => row.severity ?? '',
        value: (row) => row.severity ?? '',
        width: 84,
      },
      {
        id: 'by',
        header: 'One for each',
        cell: (row) => (row.by ?? []).join(', '),
        value: (row) => (row.by ?? []).join(', '),
        width: 96,
      },
      // Where every rule is for all, its place is the condition's.
      ...(ofTenants
        ? [
            {
              id: 'tenant',
              header: 'Tenant',
              cell: (row: Rule) => row.tenant ?? 'all',
              value: (row: Rule) => row.tenant ?? '',
              width: 90,
            },
          ]
        : []),
      { id: 'origin', header: 'From', cell: (row) => ORIGINS[row.origin], value: (row) => row.origin, width: 86 },
    ],
    [fires, ofTenants],
  );
  return (
    <>
      <Panel
        title="Alert rules"
        note="looked at every ten seconds; an alert goes to every place under Notifications"
        of={asked}
        flush
        actions={
          <May operation="alerts_create_rule">
            <Button
              size="compact-xs"
              variant="default"
              leftSection={<IconPlus size={14} aria-hidden="true" />}
              renderRoot={(props) => (
                <Link
                  to="/settings/alert-rules"
                  search={((kept: object) => ({ ...kept, edit: 'new', open: undefined })) as never}
                  {...props}
                />
              )}
            >
              New rule
            </Button>
          </May>
        }
        empty={rows.length === 0}
        whenEmpty={
          <Hint
            icon={<IconBell size={28} />}
            title="There is no rule"
            text="Make one here, or from a script:"
            snippet={`curl -X POST ${installUrl(boot.root)}/api/admin/enterprise/alert-rules \\\n  -H "X-API-Key: $CUSTODES_KEY" -H "Content-Type: application/json" \\\n  -d '{"name": "The queue is deep", "metric": "queue.depth", "comparator": ">", "threshold": 100}'`}
          />
        }
      >
        <DataTable
          label="Alert rules"
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          name="alert-rules"
          least={980}
          link={(row, children) => <OpenRow id={row.id}>{children}</OpenRow>}
        />
      </Panel>
      <Opened title={rows.find((row) => row.id === open)?.name ?? 'Alert rule'} below="/settings/alert-rules">
        {(id) => <RuleDetail id={id} />}
      </Opened>
    </>
  );
}

export function RuleState({ rule, fires }: { rule: Rule; fires: number }) {
  if (!rule.enabled) return <StatusBadge state="off" tone="plain" />;
  if (fires === 0 && rule.no_data)
    return (
      <span title={rule.no_data}>
        <StatusBadge state="no data" tone="plain" />
      </span>
    );
  return fires > 0 ? <StatusBadge state="firing" /> : <StatusBadge state="on" tone="good" />;
}
