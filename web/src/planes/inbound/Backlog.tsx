/** The key figures of the range, and what waits at this moment. */
import type { UseQueryResult } from '@tanstack/react-query';
import { useGet } from '../../api/hooks.ts';
import { compact, count, duration, length, percent } from '../../time/format.ts';
import { courseOf } from '../../ui/chart/steps.ts';
import { PERCENTILES } from '../../ui/percentiles.ts';
import { StatCard, StatCards } from '../../ui/StatCard.tsx';
import type { Analytics } from './model.ts';

interface BacklogProps {
  asked: UseQueryResult<Analytics>;
  before: UseQueryResult<Analytics>;
}

/** Share of events below which success is shown as a warning. */
const POOR = 0.95;

export function Backlog({ asked, before }: BacklogProps) {
  const health = useGet('/webhook-health', undefined, { fresh: true });
  const total = asked.data?.total;
  const old = before.data?.total;
  const course = (pick: (one: Analytics['total']) => number | null | undefined, none: number | null) =>
    courseOf(asked.data, asked.data?.points, ({ summary }) => pick(summary), none);
  const now = health.data?.figures;
  const waiting = now?.backlog ?? 0;
  const age = now?.backlog_age_seconds ?? 0;
  const dead = now?.dead_letters ?? 0;
  return (
    <StatCards>
      <StatCard
        label="Received"
        value={total ? compact(total.received) : null}
        figure={total?.received}
        before={old?.received}
        note={total && `${count(total.duplicates)} repeats beside`}
        course={course((one) => one.received, 0)}
      />
      <StatCard
        label="Success"
        value={total ? percent(total.success_rate) : null}
        figure={total?.success_rate ?? undefined}
        share
        before={old?.success_rate}
        more="good"
        tone={total?.success_rate != null && total.success_rate < POOR ? 'warn' : undefined}
        note="of the events that ended"
        course={course((one) => one.success_rate, null)}
      />
      <StatCard
        label="Failed attempts"
        value={total ? percent(total.failure_rate) : null}
        figure={total?.failure_rate ?? undefined}
        share
        before={old?.failure_rate}
        more="bad"
        note="of all attempts"
        course={course((one) => one.failure_rate, null)}
      />
      <StatCard
        label="Processing p95"
        help={PERCENTILES.p95}
        value={total ? duration(total.p95_us == null ? null : total.p95_us / 1_000) : null}
        figure={total?.p95_us ?? undefined}
        before={old?.p95_us}
        more="bad"
        course={course((one) => one.p95_us, null)}
      />
      <StatCard
        label="Waiting now"
        value={now ? count(waiting) : null}
        tone={age >= 60 ? 'warn' : undefined}
        note={now && (age >= 1 ? `the oldest is due since ${length(age * 1_000)}` : 'nothing is overdue')}
      />
      <StatCard
        label="In work, to retry"
        value={now ? `${count(now.processing ?? 0)} · ${count(now.waiting_for_retry ?? 0)}` : null}
        note="at this moment"
      />
      <StatCard
        label="Given up"
        value={now ? count(dead) : null}
        tone={dead > 0 ? 'bad' : undefined}
        note={now && `${count(now.dead_letters_last_hour ?? 0)} in the last hour`}
      />
      <StatCard
        label="Refused"
        value={total ? compact(total.refused) : null}
        figure={total?.refused}
        before={old?.refused}
        more="bad"
        note="signatures that do not hold"
        course={course((one) => one.refused, 0)}
      />
    </StatCards>
  );
}
