/** Who acts, how often, with what success, from how many places, and how risky that was. */
import { Link } from '@tanstack/react-router';
import type { Schemas } from '../../api/client.ts';
import { useTimed } from '../../api/hooks.ts';
import { ago, count, percent } from '../../time/format.ts';
import { figure } from '../../ui/columns.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { Risk } from './Risk.tsx';

type Actor = Schemas['BehaviourModel'];

export function Actors() {
  const { now } = useView();
  const moment = useMoment();
  const asked = useTimed('/audit-summary', { top: 100 });
  const rows = asked.data?.actors ?? [];
  const when = (value: string) => (
    <time dateTime={value} title={moment(value, 'iso')}>
      {ago(value, now)}
    </time>
  );
  const columns: Column<Actor>[] = [
    { id: 'actor', header: 'Actor', cell: (row) => row.actor, value: (row) => row.actor },
    figure('events', 'Entries', 90, (row) => row.events, count),
    {
      id: 'failures',
      header: 'Not successful',
      align: 'right',
      width: 130,
      cell: (row) => `${count(row.failures)} (${percent(row.failures / row.events)})`,
      value: (row) => row.failures,
    },
    {
      id: 'max_risk',
      header: 'Highest risk',
      width: 110,
      cell: (row) => <Risk score={row.max_risk} />,
      value: (row) => row.max_risk,
    },
    figure('addresses', 'Addresses', 100, (row) => row.addresses, count),
    figure('new_addresses', 'New ones', 90, (row) => row.new_addresses, count),
    figure('devices', 'User agents', 110, (row) => row.devices, count),
    { id: 'first_at', header: 'First', width: 110, cell: (row) => when(row.first_at), value: (row) => row.first_at },
    { id: 'last_at', header: 'Last', width: 110, cell: (row) => when(row.last_at), value: (row) => row.last_at },
  ];
  return (
    <Panel title="Actors" note="the hundred most active of the time range" of={asked} empty={rows.length === 0} flush>
      <DataTable
        label="Actors"
        name="actors"
        columns={columns}
        rows={rows}
        rowId={(row) => row.actor}
        least={1_000}
        height={560}
        link={(row, children) => (
          <Link
            to="/audit"
            search={((kept: object) => ({ ...kept, who: row.actor, open: undefined })) as never}
            resetScroll={false}
          >
            {children}
          </Link>
        )}
      />
    </Panel>
  );
}
