/** What was sent to an endpoint, newest first; of one delivery every attempt, with where its time went. */
import { SegmentedControl, Skeleton } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { api, type Schemas } from '../../api/client.ts';
import { exported } from '../../api/exported.ts';
import { sent, useGet, useRows } from '../../api/hooks.ts';
import { ago } from '../../time/format.ts';
import { Comparison } from '../../ui/Comparison.tsx';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { TryUrl } from '../../ui/TryUrl.tsx';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import { AttemptTiming } from './AttemptTiming.tsx';
import { comparable, type Delivery, TONES, useAskAgain } from './model.ts';
import style from './Outbound.module.css';
import { ResendSelection } from './ResendSelection.tsx';
import type { OutboundSearch } from './routes.ts';

const CHOICES = [
  { value: '', label: 'All' },
  { value: 'failed', label: 'Given up' },
  { value: 'held', label: 'Held' },
];

export function Deliveries({ endpointId }: { endpointId: string }) {
  const { delivery, missed }: OutboundSearch = useSearch({ strict: false });
  const set = useSetSearch();
  const moment = useMoment();
  const { now, when } = useView();
  const wanted = { endpoint_id: endpointId, status: missed };
  const { rows, hasMore, loadMore, asked } = useRows('/webhook-deliveries', wanted);
  const columns = useMemo<Column<Delivery>[]>(
    () => [
      { id: 'event_type', header: 'Event', cell: (row) => row.event_type, value: (row) => row.event_type },
      {
        id: 'status',
        header: 'State',
        cell: (row) => (
          <StatusBadge
            state={row.status}
            tone={TONES[row.status]}
            label={row.status === 'failed' ? 'given up' : undefined}
          />
        ),
        value: (row) => row.status,
        width: 110,
      },
      {
        id: 'attempts',
        header: 'Attempts',
        cell: (row) => row.attempts,
        value: (row) => row.attempts,
        width: 80,
        align: 'right',
      },
      {
        id: 'answer',
        header: 'Answer',
        cell: (row) => <span title={row.error}>{row.last_status ?? (row.error || '–')}</span>,
        value: (row) => row.last_status ?? row.error,
        width: 110,
      },
      {
        id: 'created_at',
        header: 'Emitted',
        cell: (row) => (
          <time dateTime={row.created_at} title={moment(row.created_at, 'iso')}>
            {ago(row.created_at, now)}
          </time>
        ),
        value: (row) => row.created_at,
        width: 110,
      },
      { id: 'again', header: 'Again', cell: (row) => <SendAgain id={row.id} small />, width: 124 },
    ],
    [moment, now],
  );
  return (
    <Panel
      title="Deliveries"
      note="open one to see its attempts"
      of={asked}
      flush
      actions={
        <>
          <ResendSelection endpointId={endpointId} missed={missed} />
          <SegmentedControl
            size="xs"
            data={CHOICES}
            value={missed ?? ''}
            aria-label="Which deliveries"
            onChange={(to) => set({ missed: to || undefined })}
          />
        </>
      }
    >
      {delivery && (
        <Tries key={delivery} id={delivery} onClose={() => set({ delivery: undefined, versus: undefined })} />
      )}
      {rows.length === 0 ? (
        <p className={style.none}>Nothing was sent in this stretch of time.</p>
      ) : (
        <DataTable
          label="Deliveries"
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          name="webhook-deliveries"
          hasMore={hasMore}
          loadMore={loadMore}
          everything={exported('webhook-deliveries', { ...wanted, ...when })}
          height={320}
          least={680}
          link={(row, children) => (
            <Link to="." search={((kept: object) => ({ ...kept, delivery: row.id, versus: undefined })) as never}>
              {children}
            </Link>
          )}
        />
      )}
    </Panel>
  );
}

function SendAgain({ id, small }: { id: string; small?: boolean }) {
  const again = useAskAgain();
  async function resend(): Promise<void> {
    await sent(api.POST('/api/admin/enterprise/webhook-deliveries/{id}/resend', { params: { path: { id } } }));
    again();
  }
  return (
    <ConfirmAction
      operation="outbound_resend_webhook_delivery"
      label="Send again"
      reason="none"
      done="It is on its way"
      button={small ? { size: 'compact-xs' } : undefined}
      onConfirm={resend}
    >
      The same event is sent once more, with the same id: receivers that look at it take it once.
    </ConfirmAction>
  );
}

function Tries({ id, onClose }: { id: string; onClose: () => void }) {
  const asked = useGet('/webhook-deliveries/{id}', undefined, { path: { id }, fresh: true });
  const moment = useMoment();
  if (asked.isError) return <p className={style.none}>This delivery is not kept any more.</p>;
  if (!asked.data) return <Skeleton height={120} radius="sm" />;
  const { tries, event_type, status, message_id } = asked.data;

  const tryUrl = (url: string) =>
    sent<Schemas['TrialModel']>(
      api.POST('/api/admin/enterprise/webhook-deliveries/{id}/try', {
        params: { path: { id } },
        body: { url, reason: '' },
      }),
    );
  return (
    <section className={style.tries} aria-label="Attempts of the delivery">
      <header className={style.head}>
        <b>{event_type}</b>
        <StatusBadge state={status} tone={TONES[status]} label={status === 'failed' ? 'given up' : undefined} />
        <SendAgain id={id} />
        <TryUrl operation="outbound_try_webhook_delivery" ask={tryUrl}>
          The same body is sent there now, signed with a secret made for it. The endpoint's own headers and credentials
          stay here, and the delivery stays as it is.
        </TryUrl>
        <button type="button" className={style.close} onClick={onClose}>
          Close the attempts
        </button>
      </header>
      <p className="faint mono">{message_id}</p>
      {tries.length === 0 && <p>Not tried yet.</p>}
      {tries.length > 1 && (
        <div>
          <Comparison of={comparable(tries)} note="Each attempt sends the same body: that of the event." />
        </div>
      )}
      <ol className={style.list}>
        {tries.map((attempt) => (
          <li key={attempt.number}>
            <p className={style.head}>
              <StatusBadge
                state={attempt.succeeded ? 'succeeded' : 'failed'}
                tone={attempt.succeeded ? 'good' : 'bad'}
                label={attempt.status === null ? 'no answer' : `answered ${attempt.status}`}
              />
              <span>
                Attempt {attempt.number}, {moment(attempt.started_at, 'milli')}
              </span>
            </p>
            <AttemptTiming attempt={attempt} />
            {attempt.headers.length > 0 && (
              <details>
                <summary>{`Sent to ${attempt.url} with ${attempt.headers.length} headers`}</summary>
                <pre className={style.excerpt}>
                  {attempt.headers.map(({ name, value }) => `${name}: ${value}`).join('\n')}
                </pre>
              </details>
            )}
            {attempt.answer_headers.length > 0 && (
              <details>
                <summary>{`Answered with ${attempt.answer_headers.length} headers`}</summary>
                <pre className={style.excerpt}>
                  {attempt.answer_headers.map(({ name, value }) => `${name}: ${value}`).join('\n')}
                </pre>
              </details>
            )}
            {attempt.error && <p className={style.error}>{attempt.error}</p>}
            {attempt.excerpt && <pre className={style.excerpt}>{attempt.excerpt}</pre>}
          </li>
        ))}
      </ol>
    </section>
  );
}
