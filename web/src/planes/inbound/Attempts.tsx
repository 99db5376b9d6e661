/** What was done with an event, from its arrival on, as a timeline. */
import { Skeleton } from '@mantine/core';
import type { ReactNode } from 'react';
import { useGet } from '../../api/hooks.ts';
import { ahead, duration, millis } from '../../time/format.ts';
import { asSaid } from '../../ui/asSaid.ts';
import { Comparison } from '../../ui/Comparison.tsx';
import { StatusBadge, toneOf } from '../../ui/StatusBadge.tsx';
import { useMoment, useView } from '../../view/view.ts';
import style from './Attempts.module.css';
import { type Attempt, comparable, type Event, OUTCOMES } from './model.ts';

export function Attempts({ event }: { event: Event }) {
  const asked = useGet('/webhook-events/{id}/attempts', undefined, { path: { id: event.id }, fresh: true });
  if (!asked.data) return <Skeleton height={80} radius="sm" />;
  const attempts = [...asked.data.items].reverse();
  return (
    <>
      <Course event={event} attempts={attempts} />
      <Comparison
        of={comparable(attempts)}
        note="Each attempt gets the stored bytes and headers, so what came is the same in all."
      />
    </>
  );
}

function Course({ event, attempts }: { event: Event; attempts: readonly Attempt[] }) {
  const moment = useMoment();
  const { now } = useView();
  return (
    <ol className={style.line} aria-label="What was done with it, oldest first">
      <Step tone="info" at={moment(event.received_at, 'milli')}>
        Received, verified and stored
      </Step>
      {attempts.map((attempt) => (
        <Tried key={`${attempt.number} ${attempt.handler}`} attempt={attempt} />
      ))}
      {event.status === 'received' && <Step tone="plain">Waits for a worker</Step>}
      {event.status === 'processing' && <Step tone="info">A worker is at it</Step>}
      {event.next_retry_at && (
        <Step tone="warn" at={moment(event.next_retry_at)}>
          Next try {ahead(millis(event.next_retry_at), now)}
        </Step>
      )}
      {event.status === 'dead' && (
        <Step tone="bad" at={event.finished_at ? moment(event.finished_at, 'milli') : undefined}>
          Given up; only a replay handles it again
        </Step>
      )}
      {event.status === 'succeeded' && (
        <Step tone="good" at={event.finished_at ? moment(event.finished_at, 'milli') : undefined}>
          {attempts.length === 0 ? 'Done: no handler wants it' : 'Done: every handler is through with it'}
        </Step>
      )}
    </ol>
  );
}

function Tried({ attempt }: { attempt: Attempt }) {
  const moment = useMoment();
  return (
    <Step tone={attempt.outcome === 'succeeded' ? 'good' : toneOf('critical')} at={moment(attempt.started_at, 'milli')}>
      <span className={style.head}>
        <StatusBadge
          state={attempt.outcome}
          tone={attempt.outcome === 'succeeded' ? 'good' : 'bad'}
          label={OUTCOMES[attempt.outcome]}
        />
        <b title={attempt.handler}>{asSaid(attempt.handler)}</b>
        <span className="faint">
          attempt {attempt.number}, {duration(attempt.duration_us / 1_000)}
        </span>
      </span>
      {attempt.error_type && (
        <span className={style.error}>
          {attempt.error_type}: {attempt.error}
        </span>
      )}
    </Step>
  );
}

function Step({ tone, at, children }: { tone: string; at?: string; children: ReactNode }) {
  return (
    <li className={style.step} data-tone={tone}>
      <div className={style.what}>{children}</div>
      {at && <span className={style.when}>{at}</span>}
    </li>
  );
}
