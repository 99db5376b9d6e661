/** Webhooks by source and by type: how many, how well, how long. */
import type { UseQueryResult } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { count, duration, percent } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Panel } from '../../ui/Panel.tsx';
import type { Analytics } from './model.ts';

type Summary = Analytics['total'];
type SourceRow = Analytics['by_source'][number];
type TypeRow = Analytics['by_type'][number];

const ms = (us: number | null) => (us === null ? null : us / 1_000);

function figures<Row extends { summary: Summary }>(): Column<Row>[] {
  return [
    {
      id: 'received',
      header: 'Received',
      width: 76,
      align: 'right',
      value: ({ summary }) => summary.received,
      cell: ({ summary }) => count(summary.received),
    },
    {
      id: 'success_rate',
      header: 'Success',
      width: 72,
      align: 'right',
      value: ({ summary }) => summary.success_rate,
      cell: ({ summary }) => percent(summary.success_rate),
    },
    {
      id: 'dead',
      header: 'Given up',
      width: 72,
      align: 'right',
      value: ({ summary }) => summary.dead,
      cell: ({ summary }) => count(summary.dead),
    },
    {
      id: 'p95_ms',
      header: 'p95',
      width: 84,
      align: 'right',
      value: ({ summary }) => ms(summary.p95_us),
      cell: ({ summary }) => duration(ms(summary.p95_us)),
    },
  ];
}

const SOURCES: readonly Column<SourceRow>[] = [
  { id: 'source', header: 'Source', value: (row) => row.source, cell: (row) => row.source },
  ...figures<SourceRow>(),
  {
    id: 'refused',
    header: 'Refused',
    width: 76,
    align: 'right',
    value: ({ summary }) => summary.refused,
    cell: ({ summary }) => count(summary.refused),
  },
];

const TYPES: readonly Column<TypeRow>[] = [
  { id: 'event_type', header: 'Type', value: (row) => row.event_type, cell: (row) => row.event_type || '(none)' },
  { id: 'source', header: 'Source', width: 72, value: (row) => row.source, cell: (row) => row.source },
  ...figures<TypeRow>(),
];

function Narrow({ to, children }: { to: Record<string, string[]>; children: ReactNode }) {
  return (
    <Link to="." search={((kept: object) => ({ ...kept, ...to })) as never}>
      {children}
    </Link>
  );
}

export function Sources({ asked }: { asked: UseQueryResult<Analytics> }) {
  return (
    <Panel
      title="Sources"
      note="the most received first; one opens every chart for itself"
      of={asked}
      empty={asked.data?.by_source.length === 0}
      flush
    >
      <DataTable
        label="Sources of webhooks"
        name="webhook-sources"
        columns={SOURCES}
        rows={asked.data?.by_source ?? []}
        rowId={(row) => row.source}
        link={(row, children) => <Narrow to={{ source: [row.source] }}>{children}</Narrow>}
        height={300}
        least={520}
      />
    </Panel>
  );
}

export function Types({ asked }: { asked: UseQueryResult<Analytics> }) {
  return (
    <Panel title="Types" note="the most received first" of={asked} empty={asked.data?.by_type.length === 0} flush>
      <DataTable
        label="Types of webhooks"
        name="webhook-types"
        columns={TYPES}
        rows={asked.data?.by_type ?? []}
        rowId={(row) => `${row.source} ${row.event_type}`}
        link={(row, children) => <Narrow to={{ source: [row.source], type: [row.event_type] }}>{children}</Narrow>}
        height={300}
        least={520}
      />
    </Panel>
  );
}
