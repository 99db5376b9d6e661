/** The rules: those in code, then those made at run time, with what each promises. */
import { Button } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { useGet } from '../../api/hooks.ts';
import { duration } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { IconHandStop, IconPlus } from '../../ui/icons.ts';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import type { Rule } from './model.ts';
import { RuleDetail } from './RuleDetail.tsx';
import type { RateLimitSearch } from './routes.ts';

const state = (rule: Rule): string => {
  if (rule.overruled) return 'overruled';
  if (!rule.enabled) return 'off';
  return rule.shadow ? 'shadow' : 'enforced';
};

export function RuleState({ rule }: { rule: Rule }) {
  const tones = { overruled: 'bad', off: 'plain', shadow: 'warn', enforced: 'good' } as const;
  return <StatusBadge state={state(rule)} tone={tones[state(rule) as keyof typeof tones]} />;
}

/** A rule by its name; one that holds for nothing, or for a tenant alone, may share its name with another. */
export const idOf = (rule: Rule): string => (rule.overruled || rule.tenant ? (rule.id ?? rule.name) : rule.name);

const written = (rule: Rule): string => rule.limits.map((limit) => limit.text).join('; ');
const factor = (rule: Rule): number => Math.max(...rule.limits.map((limit) => limit.worst_case_factor));
const lateness = (rule: Rule): number => Math.max(...rule.limits.map((limit) => limit.lateness_seconds));
const algorithms = (rule: Rule): string => [...new Set(rule.limits.map((limit) => limit.algorithm))].join(', ');

export function Rules() {
  const asked = useGet('/rate-limits/rules', undefined, { fresh: true });
  const { open }: RateLimitSearch = useSearch({ strict: false });
  const rows = asked.data ?? [];
  const columns = useMemo<Column<Rule>[]>(
    () => [
      { id: 'name', header: 'Rule', cell: (row) => row.name, value: (row) => row.name, width: 176 },
      {
        id: 'state',
        header: 'State',
        cell: (row) => <RuleState rule={row} />,
        value: state,
        width: 104,
      },
      {
        id: 'limits',
        header: 'Limits',
        cell: (row) => (
          <span className="mono" title={written(row)}>
            {written(row)}
          </span>
        ),
        value: written,
      },
      { id: 'by', header: 'By', cell: (row) => row.by, value: (row) => row.by, width: 76 },
      {
        id: 'route',
        header: 'Where',
        cell: (row) => (
          <span className="mono" title={row.route}>
            {row.route === '*' ? 'everywhere' : row.route}
          </span>
        ),
        value: (row) => row.route,
        width: 176,
      },
      {
        id: 'methods',
        header: 'Methods',
        cell: (row) => row.methods.join(', ') || 'all',
        value: (row) => row.methods.join(', '),
        width: 80,
      },
      { id: 'algorithm', header: 'Algorithm', cell: algorithms, value: algorithms, width: 96 },
      {
        id: 'worst_case_factor',
        header: 'At most',
        cell: (row) => `${factor(row).toFixed(2)} ×`,
        value: factor,
        width: 74,
        align: 'right',
      },
      {
        id: 'lateness_seconds',
        header: 'Late by',
        cell: (row) => duration(lateness(row) * 1_000),
        value: lateness,
        width: 74,
        align: 'right',
      },
      {
        id: 'on_failure',
        header: 'On failure',
        cell: (row) => row.on_failure ?? 'as set',
        value: (row) => row.on_failure ?? '',
        width: 84,
      },
      {
        id: 'source',
        header: 'From',
        cell: (row) => (row.source === 'code' ? 'code' : 'dashboard'),
        value: (row) => row.source,
        width: 86,
      },
    ],
    [],
  );
  return (
    <>
      <Panel
        title="Rules"
        note="at most: the most that passes in any window, as a multiple of the limit; late by: how much later quota may come back"
        of={asked}
        flush
        actions={
          <Button
            size="compact-xs"
            variant="default"
            leftSection={<IconPlus size={14} aria-hidden="true" />}
            renderRoot={(props) => (
              <Link
                to="/rate-limits"
                search={((kept: object) => ({ ...kept, view: 'editor', open: undefined })) as never}
                {...props}
              />
            )}
          >
            New rule
          </Button>
        }
        empty={rows.length === 0}
        whenEmpty={
          <Hint
            icon={<IconHandStop size={28} />}
            title="There is no rule"
            text="Make one here, or write it where the app is made:"
            snippet={
              'custodes.limit("100/minute", by="ip")\ncustodes.limit("5/minute; 100/day", by="ip", route="/login", methods="POST")'
            }
          />
        }
      >
        <DataTable
          label="Rules"
          columns={columns}
          rows={rows}
          rowId={idOf}
          name="rate-limit-rules"
          least={1_100}
          link={(row, children) => <OpenRow id={idOf(row)}>{children}</OpenRow>}
        />
      </Panel>
      <Opened title={`Rule ${rows.find((one) => idOf(one) === open)?.name ?? open ?? ''}`} below="/rate-limits/rules">
        {(id) => <RuleDetail id={id} />}
      </Opened>
    </>
  );
}
