/** Where alerts go: each place, whether it takes anything, and a message to it that says it is a test. */
import { useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { api, type Schemas } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconBell } from '../../ui/icons.ts';
import { Panel } from '../../ui/Panel.tsx';
import { Hint } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment } from '../../view/view.ts';

type Sink = Schemas['SinkModel'];
type Trial = Schemas['SinkTrialModel'];

export function Sinks() {
  const asked = useGet('/alert-sinks', undefined, { fresh: true });
  const queries = useQueryClient();
  const moment = useMoment();
  const [tried, setTried] = useState<ReadonlyMap<string, Trial>>(new Map());
  const rows = asked.data?.items ?? [];
  const columns = useMemo<Column<Sink>[]>(() => {
    async function test(name: string): Promise<void> {
      const answer = await sent<Schemas['SinkTrials']>(
        api.POST('/api/admin/enterprise/alert-sinks/test', { body: { name } }),
      );
      setTried((before) => new Map([...before, ...answer.items.map((one) => [one.name, one] as const)]));
    }
    async function enable(name: string): Promise<void> {
      await sent(api.POST('/api/admin/enterprise/alert-sinks/enable', { body: { name } }));
      await queries.invalidateQueries({ queryKey: ['/alert-sinks'] });
    }
    return [
      {
        id: 'name',
        header: 'Place',
        cell: (row) => (
          <span className="mono" title={row.name}>
            {row.name}
          </span>
        ),
        value: (row) => row.name,
      },
      {
        id: 'state',
        header: 'State',
        cell: (row) =>
          row.disabled_at ? (
            <StatusBadge state="off" tone="bad" label="switched off" />
          ) : (
            <StatusBadge state="works" tone="good" />
          ),
        value: (row) => (row.disabled_at ? 'switched off' : 'works'),
        width: 130,
      },
      {
        id: 'reason',
        header: 'Why',
        cell: (row) => <span title={row.disabled_reason}>{row.disabled_reason}</span>,
        value: (row) => row.disabled_reason,
      },
      {
        id: 'disabled_at',
        header: 'Since',
        cell: (row) => (row.disabled_at ? moment(row.disabled_at, 'minute') : ''),
        value: (row) => row.disabled_at ?? '',
        width: 150,
      },
      {
        id: 'tried',
        header: 'Last test',
        cell: (row) => {
          const trial = tried.get(row.name);
          if (!trial) return null;
          return trial.taken ? (
            <StatusBadge state="taken" tone="good" label={`taken in ${Math.round(trial.duration_ms)} ms`} />
          ) : (
            <span title={trial.error}>
              <StatusBadge state="failed" tone="bad" label="not taken" />
            </span>
          );
        },
        width: 140,
      },
      {
        id: 'actions',
        header: '',
        cell: (row) => (
          <>
            {row.disabled_at && (
              <ConfirmAction
                operation="alerts_enable_sink"
                label="Switch on"
                reason="none"
                done={`${row.name} is on`}
                button={{ size: 'compact-xs' }}
                onConfirm={() => enable(row.name)}
              >
                It gets the next alert. What it missed is not sent.
              </ConfirmAction>
            )}{' '}
            <ConfirmAction
              operation="alerts_test_sinks"
              label="Send a test"
              reason="none"
              done="The test is over: see below Last test"
              button={{ size: 'compact-xs' }}
              onConfirm={() => test(row.name)}
            >
              A message that says it is a test goes to <span className="mono">{row.name}</span>, as alerts do. It is in
              the audit trail.
            </ConfirmAction>
          </>
        ),
        width: 190,
        align: 'right',
      },
    ];
  }, [tried, moment, queries]);
  return (
    <Panel
      title="Where alerts go"
      note="set with CUSTODES_ALERT_URLS"
      of={asked}
      flush
      height={90}
      empty={rows.length === 0}
      whenEmpty={
        <Hint
          icon={<IconBell size={28} />}
          title="Alerts go nowhere that you can see"
          text="Places belong to the whole install. They are set in its environment, separated by spaces:"
          snippet={
            'CUSTODES_ALERT_URLS="slack://token/channel mailto://user:password@example.com https://example.com/alerts"'
          }
        />
      }
    >
      <DataTable
        label="Where alerts go"
        columns={columns}
        rows={rows}
        rowId={(row) => row.name}
        name="alert-sinks"
        least={900}
        height={260}
      />
    </Panel>
  );
}
