/** One alert: what it is about, who was told, and how long nobody is. */
import { Group, Select } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { IncidentTitle } from '../../alerts/IncidentTitle.tsx';
import { api, type Schemas } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useView } from '../../view/view.ts';
import style from './Alerts.module.css';
import { conditionNow, isSilenced, KEYS } from './model.ts';

type Detail = Schemas['IncidentDetail'];
type Told = Schemas['NotificationModel'];

/** How long nobody is told, minutes; the server takes 30 days at most. */
const SILENCES = [
  { value: '30', label: 'Half an hour' },
  { value: '120', label: 'Two hours' },
  { value: '480', label: 'Eight hours' },
  { value: '1440', label: 'A day' },
  { value: '10080', label: 'A week' },
  { value: '43199', label: '30 days' },
];

export function AlertDetail({ id }: { id: string }) {
  const { now } = useView();
  const moment = useMoment();
  const asked = useGet('/alerts/{id}', undefined, { path: { id }, fresh: true });
  const alert = asked.data;
  const columns = useMemo<Column<Told>[]>(
    () => [
      {
        id: 'sink',
        header: 'Place',
        cell: (row) => <span title={row.sink}>{row.sink}</span>,
        value: (row) => row.sink,
      },
      { id: 'news', header: 'Why', cell: (row) => row.news, value: (row) => row.news, width: 90 },
      { id: 'state', header: 'State', cell: (row) => row.state, value: (row) => row.state, width: 84 },
      {
        id: 'attempts',
        header: 'Attempts',
        cell: (row) => row.attempts,
        value: (row) => row.attempts,
        width: 80,
        align: 'right',
      },
      {
        id: 'created_at',
        header: 'At',
        cell: (row) => moment(row.created_at),
        value: (row) => row.created_at,
        width: 150,
      },
      {
        id: 'error',
        header: 'Error',
        cell: (row) => <span title={row.error}>{row.error}</span>,
        value: (row) => row.error,
      },
    ],
    [moment],
  );
  return (
    <Panel
      title={alert?.name ?? 'Alert'}
      of={asked}
      actions={alert && <StatusBadge state={conditionNow(alert, now).label} tone={conditionNow(alert, now).tone} />}
    >
      {alert && (
        <div className={style.sections}>
          {alert.state !== 'resolved' && <Buttons alert={alert} />}
          <Section title="What">
            <p>{alert.summary}</p>
            <KeyValue
              of={[
                ['Cause', <IncidentTitle key="cause" incident={alert} />],
                ['Severity', alert.severity],
                ['Since', moment(alert.started_at)],
                ['Last sign', moment(alert.last_seen_at)],
                ['Over', alert.resolved_at ? moment(alert.resolved_at) : null],
                ['Times', alert.occurrences > 1 ? alert.occurrences : null],
                ['Seen by', alert.acknowledged_by],
                ['Silent until', isSilenced(alert, now) && alert.silenced_until ? moment(alert.silenced_until) : null],
                [
                  'Labels',
                  Object.entries(alert.labels)
                    .map(([name, value]) => `${name}: ${value}`)
                    .join(', '),
                ],
                ['Tenant', alert.tenant],
                [
                  'Rule',
                  alert.rule_id.startsWith('signal:') ? (
                    'a failure that was reported'
                  ) : (
                    <Link
                      key="rule"
                      to="/settings/alert-rules"
                      search={((kept: object) => ({ ...kept, state: undefined, open: alert.rule_id })) as never}
                    >
                      {alert.rule_id}
                    </Link>
                  ),
                ],
              ]}
            />
          </Section>
          <Section title="Who was told">
            {alert.notifications.length === 0 ? (
              <p className="faint">Nobody yet.</p>
            ) : (
              <DataTable
                label="Messages about it"
                columns={columns}
                rows={alert.notifications}
                rowId={(row) => row.id}
                name="alert-messages"
                least={720}
                height={300}
              />
            )}
          </Section>
        </div>
      )}
    </Panel>
  );
}

function Buttons({ alert }: { alert: Detail }) {
  const { now } = useView();
  const queries = useQueryClient();
  const [minutes, setMinutes] = useState('120');
  const path = { id: alert.id };
  const again = () => {
    for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
  };
  async function acknowledge(): Promise<void> {
    await sent(api.POST('/api/admin/enterprise/alerts/{id}/acknowledge', { params: { path } }));
    again();
  }
  async function silence(reason: string): Promise<void> {
    const until = new Date(Date.now() + Number(minutes) * 60_000).toISOString();
    await sent(api.POST('/api/admin/enterprise/alerts/{id}/silence', { params: { path }, body: { until, reason } }));
    again();
  }
  async function tell(reason: string): Promise<void> {
    await sent(api.DELETE('/api/admin/enterprise/alerts/{id}/silence', { params: { path, query: { reason } } }));
    again();
  }
  return (
    <Group gap="xs">
      {!alert.acknowledged_by && (
        <ConfirmAction
          operation="alerts_acknowledge_alert"
          label="Acknowledge"
          reason="none"
          done="Acknowledged"
          onConfirm={acknowledge}
        >
          Others see that you look after it, and nobody is reminded. It stays open until its cause is gone.
        </ConfirmAction>
      )}
      <ConfirmAction
        operation="alerts_silence_alert"
        label={isSilenced(alert, now) ? 'Silence anew' : 'Silence'}
        reason="optional"
        danger
        done="Nobody is told of it for a while"
        onConfirm={silence}
      >
        <Select
          label="How long"
          description="Nobody is told, also when it comes back in the meantime"
          data={SILENCES}
          value={minutes}
          allowDeselect={false}
          onChange={(to) => setMinutes(to ?? '120')}
        />
      </ConfirmAction>
      {isSilenced(alert, now) && (
        <ConfirmAction
          operation="alerts_end_silence"
          label="End the silence"
          reason="optional"
          done="It is told of again"
          onConfirm={tell}
        >
          It is told to every place: at once if nobody was told that it began, else at its next change or reminder.
        </ConfirmAction>
      )}
    </Group>
  );
}
