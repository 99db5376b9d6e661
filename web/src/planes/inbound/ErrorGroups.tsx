/** Attempts that failed, alike ones together. */
import type { UseQueryResult } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { ago, count, millis } from '../../time/format.ts';
import { asSaid } from '../../ui/asSaid.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconCircleCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useView } from '../../view/view.ts';
import type { Analytics } from './model.ts';

type Group = Analytics['errors'][number];

export function ErrorGroups({ asked }: { asked: UseQueryResult<Analytics> }) {
  const { now } = useView();
  const columns: readonly Column<Group>[] = [
    { id: 'error_type', header: 'Error', width: 170, value: (row) => row.error_type, cell: (row) => row.error_type },
    {
      id: 'example',
      header: 'Message',
      value: (row) => row.example,
      cell: (row) => <span title={row.example}>{row.example}</span>,
    },
    {
      id: 'handler',
      header: 'Handler',
      width: 200,
      value: (row) => row.handler,
      cell: (row) => <span title={row.handler}>{asSaid(row.handler)}</span>,
    },
    { id: 'source', header: 'Source', width: 90, value: (row) => row.source, cell: (row) => row.source },
    {
      id: 'count',
      header: 'Attempts',
      width: 90,
      align: 'right',
      value: (row) => row.count,
      cell: (row) => count(row.count),
    },
    {
      id: 'last_at',
      header: 'Last seen',
      width: 110,
      value: (row) => row.last_at,
      cell: (row) => ago(millis(row.last_at), now),
    },
  ];
  return (
    <Panel
      title="Errors"
      note="failed attempts by handler and class of error, most frequent first"
      of={asked}
      empty={asked.data?.errors.length === 0}
      whenEmpty={
        <Message
          icon={<IconCircleCheck size={28} />}
          title="No attempt failed"
          text="What a handler raises shows up here, with its message, grouped by handler and class."
        />
      }
      flush
    >
      <DataTable
        label="Errors of handlers"
        name="webhook-errors"
        columns={columns}
        rows={asked.data?.errors ?? []}
        rowId={(row) => `${row.source} ${row.handler} ${row.error_type}`}
        link={(row, children) => (
          <Link
            to="."
            search={
              ((kept: object) => ({
                ...kept,
                part: 'events',
                source: [row.source],
                status: ['failed', 'dead'],
              })) as never
            }
          >
            {children}
          </Link>
        )}
        height={320}
        least={820}
      />
    </Panel>
  );
}
