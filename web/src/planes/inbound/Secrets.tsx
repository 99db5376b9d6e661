/** Which of the signing secrets of each source sign: one that rotates them sees when the old one can go. */
import { useMemo } from 'react';
import { useGet } from '../../api/hooks.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { type Secret, secretsOf } from './secrets.ts';

const TONES = { signs: 'good', awaited: 'warn', removable: 'info', quiet: 'plain' } as const;

const LABELS = { signs: 'signs', awaited: 'not used yet', removable: 'can be removed', quiet: 'quiet' } as const;

export function Secrets() {
  const asked = useGet('/webhook-sources', undefined, { fresh: true });
  const rows = useMemo(() => secretsOf(asked.data?.items ?? []), [asked.data]);
  const columns = useMemo<Column<Secret>[]>(
    () => [
      { id: 'source', header: 'Source', width: 84, value: (row) => row.source, cell: (row) => row.source },
      { id: 'secret', header: 'Secret', width: 124, value: (row) => row.place, cell: (row) => row.which },
      {
        id: 'standing',
        header: 'State',
        width: 150,
        value: (row) => row.standing,
        cell: (row) => <StatusBadge state={row.standing} tone={TONES[row.standing]} label={LABELS[row.standing]} />,
      },
      {
        id: 'summary',
        header: 'What is known',
        value: (row) => row.summary,
        cell: (row) => <span title={row.told}>{row.summary}</span>,
      },
      {
        id: 'fingerprint',
        header: 'Fingerprint',
        width: 100,
        value: (row) => row.fingerprint,
        cell: (row) => <code>{row.fingerprint}</code>,
      },
    ],
    [],
  );
  return (
    <Panel
      title="Signing secrets"
      note="which of them sign: an old one can go when only newer ones do"
      of={asked}
      empty={rows.length === 0}
      flush
    >
      <DataTable
        label="Signing secrets of the sources"
        name="webhook-secrets"
        columns={columns}
        rows={rows}
        rowId={(row) => `${row.source} ${row.place}`}
        height={260}
        least={820}
      />
    </Panel>
  );
}
