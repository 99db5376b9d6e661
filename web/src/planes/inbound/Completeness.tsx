/** Whether everything that was sent has arrived: each source against its sender's own list, and unusual silences. */
import { useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { api, type Schemas } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { count } from '../../time/format.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { figure } from '../../ui/columns.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Snippet } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import style from './Completeness.module.css';

type Proof = Schemas['ProofModel'];

const PATH = '/webhook-completeness';

export function Completeness() {
  const asked = useGet(PATH, undefined, { fresh: true });
  const rows = asked.data?.items ?? [];
  const columns = useMemo<Column<Proof>[]>(
    () => [
      { id: 'source', header: 'Source', width: 110, value: (row) => row.source, cell: (row) => row.source },
      { id: 'state', header: 'State', width: 140, value: stateOf, cell: (row) => <State of={row} /> },
      {
        id: 'summary',
        header: 'What is known',
        value: (row) => row.summary,
        cell: (row) => <span title={row.error || row.summary}>{row.error || row.summary}</span>,
      },
      figure('fetched', 'Fetched', 80, (row) => row.fetched, count),
      figure('lost', 'Lost', 64, (row) => row.lost, count),
      {
        id: 'act',
        header: 'Action',
        width: 116,
        cell: (row) => row.compared && <Compare source={row.source} />,
      },
    ],
    [],
  );
  return (
    <Panel
      title="Completeness"
      note="against the sender's own list of what it has sent; what never arrived is fetched"
      of={asked}
      empty={rows.length === 0}
      flush
    >
      <DataTable
        label="Completeness of the sources"
        name="webhook-completeness"
        columns={columns}
        rows={rows}
        rowId={(row) => `${row.tenant} ${row.source}`}
        height={260}
        least={760}
      />
      {rows.every((row) => !row.compared) && (
        <div className={style.how}>
          <p>No source is compared yet. Let Custodes read the sender's list, then start the server again:</p>
          <Snippet
            text={
              'CUSTODES_STRIPE_API_KEY=rk_live_…        # restricted: events, read\n\nCUSTODES_GITHUB_TOKEN=github_pat_…       # webhooks, read\nCUSTODES_GITHUB_HOOK=owner/repository/hooks/123'
            }
          />
        </div>
      )}
    </Panel>
  );
}

function stateOf(proof: Proof): string {
  if (proof.lost > 0) return 'lost some';
  if (proof.error) return 'not compared';
  if (proof.silent_since) return 'silent';
  if (proof.proven_until) return 'complete';
  return proof.compared ? 'not yet' : 'not compared';
}

const TONES: Record<string, 'good' | 'warn' | 'bad' | 'plain'> = {
  complete: 'good',
  silent: 'warn',
  'lost some': 'bad',
};

function State({ of: proof }: { of: Proof }) {
  const state = stateOf(proof);
  return <StatusBadge state={state} tone={proof.error ? 'bad' : (TONES[state] ?? 'plain')} />;
}

function Compare({ source }: { source: string }) {
  const queries = useQueryClient();
  return (
    <ConfirmAction
      operation="inbound_reconcile_webhook_source"
      label="Compare now"
      reason="optional"
      done={`${source} is compared`}
      button={{ size: 'compact-xs' }}
      onConfirm={async (reason) => {
        const params = { path: { source } };
        await sent(api.POST('/api/admin/enterprise/webhook-completeness/{source}', { params, body: { reason } }));
        await queries.invalidateQueries({ queryKey: [PATH] });
      }}
    >
      The sender is asked for what it has sent. Events that never arrived are fetched and handled like any other.
    </ConfirmAction>
  );
}
