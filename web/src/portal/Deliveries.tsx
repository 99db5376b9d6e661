/** What was sent to an endpoint, newest first; of one delivery the request, and every attempt with its answer. */
import { Button, SegmentedControl, Skeleton } from '@mantine/core';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { AttemptTiming } from '../planes/outbound/AttemptTiming.tsx';
import { ago } from '../time/format.ts';
import { useNow } from '../time/now.ts';
import { ConfirmButton } from '../ui/ConfirmButton.tsx';
import { IconInbox } from '../ui/icons.ts';
import { Message } from '../ui/Message.tsx';
import { Snippet } from '../ui/Snippet.tsx';
import { StatusBadge } from '../ui/StatusBadge.tsx';
import { api, type Delivery, type DeliveryInFull, sent } from './api.ts';
import { Card } from './Card.tsx';
import style from './Portal.module.css';
import { go, linkTo, usePlace } from './place.ts';
import { statusOf } from './words.ts';
import { useMoment } from './zone.ts';

const CHOICES = [
  { value: '', label: 'All' },
  { value: 'succeeded', label: 'Delivered' },
  { value: 'failed', label: 'Given up' },
  { value: 'held', label: 'Held' },
] as const;

type Only = Exclude<(typeof CHOICES)[number]['value'], ''>;

export function Deliveries({ id, manage }: { id: string; manage: boolean }) {
  const place = usePlace();
  const only = CHOICES.some(({ value }) => value === place.only) ? (place.only as Only | '') : '';
  const asked = useInfiniteQuery({
    queryKey: ['deliveries', id, only],
    queryFn: ({ pageParam }) => {
      const query = { limit: 25, ...(only && { status: only }), ...(pageParam && { cursor: pageParam }) };
      return sent(api.GET('/api/endpoints/{id}/deliveries', { params: { path: { id }, query } }));
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    // What was scrolled to stays; only the first page is asked for again and again.
    refetchInterval: (query) => ((query.state.data?.pages.length ?? 0) > 1 ? false : 5_000),
  });
  const rows = asked.data?.pages.flatMap((page) => page.items) ?? [];
  const shown = rows.some((row) => row.id === place.delivery);
  return (
    <Card
      title="Deliveries"
      of={asked}
      flush
      actions={
        <SegmentedControl
          size="xs"
          data={CHOICES as unknown as { value: string; label: string }[]}
          value={only}
          aria-label="Which deliveries"
          onChange={(to) => go({ ...place, only: to, delivery: '' })}
        />
      }
    >
      {place.delivery && !shown && <InFull id={place.delivery} manage={manage} />}
      {rows.length === 0 ? (
        <Message
          icon={<IconInbox size={28} />}
          title={only ? 'None of these' : 'Nothing was sent yet'}
          text={only ? undefined : 'Whatever is sent to this endpoint is listed here, with every attempt.'}
        />
      ) : (
        <ul className={style.rows} aria-label="Deliveries">
          {rows.map((row) => (
            <Row key={row.id} row={row} open={row.id === place.delivery} manage={manage} />
          ))}
        </ul>
      )}
      {asked.hasNextPage && (
        <div className={style.more}>
          <Button
            size="xs"
            variant="default"
            loading={asked.isFetchingNextPage}
            onClick={() => void asked.fetchNextPage()}
          >
            Show more
          </Button>
        </div>
      )}
    </Card>
  );
}

function Row({ row, open, manage }: { row: Delivery; open: boolean; manage: boolean }) {
  const now = useNow();
  const moment = useMoment();
  const place = usePlace();
  const said = statusOf(row);
  return (
    <li>
      <a className={style.row} aria-current={open || undefined} {...linkTo({ ...place, delivery: open ? '' : row.id })}>
        <span className={style.what}>
          <span className="mono cut">{row.event_type}</span>
          <span className="faint">
            <time dateTime={row.created_at} title={moment(row.created_at, 'iso')}>
              {ago(row.created_at, now)}
            </time>
            {' · '}
            {row.attempts === 1 ? '1 attempt' : `${row.attempts} attempts`}
          </span>
        </span>
        <span className={style.figures}>
          <StatusBadge state={row.status} tone={said.tone} label={said.label} />
          <span className="faint cut">{row.last_status ? `answered ${row.last_status}` : row.error}</span>
        </span>
      </a>
      {open && <InFull id={row.id} manage={manage} />}
    </li>
  );
}

function InFull({ id, manage }: { id: string; manage: boolean }) {
  const queries = useQueryClient();
  const moment = useMoment();
  const params = { path: { id } };
  const asked = useQuery({
    queryKey: ['delivery', id],
    queryFn: () => sent(api.GET('/api/deliveries/{id}', { params })),
    refetchInterval: 5_000,
  });
  const found = asked.data;
  if (asked.isError && !found) return <p className={style.none}>This delivery is not kept any more.</p>;
  if (!found) return <Skeleton height={140} m="md" radius="sm" />;

  async function resend(): Promise<void> {
    await sent(api.POST('/api/deliveries/{id}/resend', { params }));
    void queries.invalidateQueries();
  }
  return (
    <section className={style.whole} aria-label={`Delivery of ${found.event_type}`}>
      <header className={style.wholeHead}>
        <h3>Attempts</h3>
        {found.next_attempt_at && found.attempts > 0 && (
          <span className="faint">next one {moment(found.next_attempt_at)}</span>
        )}
        {manage && (
          <ConfirmButton label="Send again" reason="none" done="It is on its way" onConfirm={resend}>
            The same event is sent once more, with the same id: receivers that look at it take it once.
          </ConfirmButton>
        )}
      </header>
      {found.tries.length === 0 && <p className="faint">Not tried yet.</p>}
      <ol className={style.tries}>
        {found.tries.map((attempt) => (
          <li key={attempt.number}>
            <p className={style.wholeHead}>
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
            {attempt.error && <p>{attempt.error}</p>}
            {(attempt.excerpt || attempt.answer_headers.length > 0) && (
              <Snippet text={answerOf(attempt)} label={`Answer to attempt ${attempt.number}`} />
            )}
          </li>
        ))}
      </ol>
      <h3>Request</h3>
      <Snippet text={headersOf(found)} label="Headers" />
      <Snippet text={pretty(found.body, found.body_encoding)} label="Body" />
    </section>
  );
}

/** What the receiver answered: its headers, and the beginning of its body. */
function answerOf({ answer_headers, excerpt }: DeliveryInFull['tries'][number]): string {
  return [answer_headers.map(({ name, value }) => `${name}: ${value}`).join('\n'), excerpt].join('\n\n').trim();
}

/** The headers that were sent last, secrets masked; what they will be of as long as nothing was sent. */
function headersOf({ tries, message_id, content_type }: DeliveryInFull): string {
  const last = tries[0]?.headers ?? [];
  const known = [
    { name: 'webhook-id', value: message_id },
    { name: 'content-type', value: content_type },
  ];
  return (last.length > 0 ? last : known).map(({ name, value }) => `${name}: ${value}`).join('\n');
}

function pretty(body: string, encoding: string): string {
  if (encoding !== 'text') return body;
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
