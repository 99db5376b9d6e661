/** Who is told of what: alerts with who has seen them and for how long nobody is told, and the places that alerts go to. */
import { SegmentedControl } from '@mantine/core';
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { exported } from '../../api/exported.ts';
import { useRows } from '../../api/hooks.ts';
import { useFresh } from '../../live/useFresh.ts';
import { SettingsParts } from '../../shell/SettingsParts.tsx';
import { ago } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { IconCircleCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import { AlertDetail } from './AlertDetail.tsx';
import { concerns, conditionNow, type Incident, isSilenced, KEYS } from './model.ts';
import type { NotificationsSearch } from './routes.ts';
import { Sinks } from './Sinks.tsx';

const CHOICES = [
  { value: '', label: 'All' },
  { value: 'firing', label: 'Firing' },
  { value: 'pending', label: 'Pending' },
  { value: 'resolved', label: 'Over' },
];

export function Notifications() {
  const { state, open }: NotificationsSearch = useSearch({ strict: false });
  const set = useSetSearch();
  const { now } = useView();
  const moment = useMoment();
  useFresh(KEYS, concerns);
  // Of all time: what fires began whenever it did.
  const { rows, hasMore, loadMore, asked } = useRows('/alerts', { state }, { timed: false });
  const columns = useMemo<Column<Incident>[]>(
    () => [
      {
        id: 'name',
        header: 'Alert',
        cell: (row) => <span title={row.summary}>{row.summary || row.name}</span>,
        value: (row) => row.summary || row.name,
        phone: 0,
      },
      {
        id: 'state',
        header: 'State',
        cell: (row) => <StatusBadge state={conditionNow(row, now).label} tone={conditionNow(row, now).tone} />,
        value: (row) => conditionNow(row, now).label,
        width: 124,
        phone: 112,
      },
      {
        id: 'severity',
        header: 'Severity',
        cell: (row) => <StatusBadge state={row.severity} />,
        value: (row) => row.severity,
        width: 104,
      },
      {
        id: 'started_at',
        header: 'Since',
        cell: (row) => (
          <time dateTime={row.started_at} title={moment(row.started_at, 'iso')}>
            {ago(row.started_at, now)}
          </time>
        ),
        value: (row) => row.started_at,
        width: 100,
        phone: 84,
      },
      {
        id: 'acknowledged_by',
        header: 'Seen by',
        cell: (row) => row.acknowledged_by,
        value: (row) => row.acknowledged_by,
        width: 120,
      },
      {
        id: 'silenced_until',
        header: 'Silent until',
        cell: (row) => (isSilenced(row, now) && row.silenced_until ? moment(row.silenced_until, 'minute') : ''),
        value: (row) => row.silenced_until ?? '',
        width: 140,
      },
      { id: 'tenant', header: 'Tenant', cell: (row) => row.tenant, value: (row) => row.tenant, width: 90 },
    ],
    [moment, now],
  );
  return (
    <Page title="Settings" part="Notifications" by={['state']}>
      <SettingsParts current="notifications" />
      <Sinks />
      <Panel
        title="Alerts"
        note="of all time; one that is silenced goes on without anybody being told"
        of={asked}
        flush
        actions={
          <SegmentedControl
            size="xs"
            data={CHOICES}
            value={state ?? ''}
            aria-label="In which state"
            onChange={(to) => set({ state: to || undefined })}
          />
        }
        empty={rows.length === 0}
        whenEmpty={
          <Message
            icon={<IconCircleCheck size={28} />}
            title={state ? 'There is none in this state' : 'There was no alert yet'}
            text="Rules are looked at every ten seconds, and failures are told of as they come."
          />
        }
      >
        <DataTable
          label="Alerts"
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          name="alerts"
          hasMore={hasMore}
          loadMore={loadMore}
          least={980}
          everything={exported('alerts', { state })}
          link={(row, children) => <OpenRow id={row.id}>{children}</OpenRow>}
        />
      </Panel>
      <Opened title={rows.find((row) => row.id === open)?.name ?? 'Alert'} below="/settings/notifications">
        {(id) => <AlertDetail id={id} />}
      </Opened>
    </Page>
  );
}
