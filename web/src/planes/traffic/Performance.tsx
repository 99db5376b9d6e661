import { useTimed } from '../../api/hooks.ts';
import { compact, count, duration, percent } from '../../time/format.ts';
import { courseOf } from '../../ui/chart/steps.ts';
import { Row } from '../../ui/Page.tsx';
import { PERCENTILES } from '../../ui/percentiles.ts';
import { StatCard, StatCards } from '../../ui/StatCard.tsx';
import { useView } from '../../view/view.ts';
import { Failing, FailingOverTime } from './Failing.tsx';
import { Latency } from './Latency.tsx';
import { type Analytics, useAnalytics, useFigureQuery } from './model.ts';
import { Pattern } from './Pattern.tsx';
import { Slowest } from './Slowest.tsx';
import { Volume } from './Volume.tsx';

type Stats = Analytics['totals'];

export function Performance() {
  return (
    <>
      <Figures />
      <Latency />
      <Row least={420}>
        <Volume />
        <Failing />
      </Row>
      <FailingOverTime />
      <Slowest />
      <Pattern />
    </>
  );
}

function Figures() {
  const { query, consumer } = useFigureQuery();
  const { span } = useView();
  const now = useAnalytics();
  const then = useTimed('/api-analytics', { ...query, endpoints: 1, consumers: 1 }, { which: 'before' });
  const totals = now.data?.totals;
  const before = then.data?.totals;
  const course = (pick: (one: Stats) => number | null, none: number | null) =>
    courseOf(now.data, now.data?.series, ({ stats }) => pick(stats), none);
  const seconds = Math.max(1, (span.to - span.from) / 1_000);
  const time = (name: 'p50' | 'p95' | 'p99' | 'p99_9', label: string) => (
    <StatCard
      label={label}
      help={PERCENTILES[name]}
      value={totals ? (totals.timed > 0 ? duration(totals.total_ms[name]) : '–') : null}
      figure={totals?.timed ? totals.total_ms[name] : undefined}
      before={before && (before.timed ? before.total_ms[name] : null)}
      more="bad"
      note={consumer ? 'not kept by consumer' : undefined}
      course={course((one) => (one.timed > 0 ? one.total_ms[name] : null), null)}
    />
  );
  return (
    <StatCards>
      <StatCard
        label="Requests"
        value={totals ? compact(totals.count) : null}
        figure={totals?.count}
        before={before?.count}
        note={totals && `${compact(totals.count / seconds)} a second`}
        course={course((one) => one.count, 0)}
      />
      {time('p50', 'Response time p50')}
      {time('p95', 'Response time p95')}
      {time('p99', 'Response time p99')}
      {time('p99_9', 'Response time p99.9')}
      <StatCard
        label="Server errors"
        value={totals ? percent(totals.error_rate) : null}
        figure={totals?.count ? totals.error_rate : undefined}
        share
        before={before && (before.count ? before.error_rate : null)}
        more="bad"
        tone={totals && totals.error_rate >= 0.05 ? 'bad' : undefined}
        note={totals && `${count(totals.server_errors)} of ${count(totals.count)}`}
        course={course((one) => one.error_rate, null)}
      />
      <StatCard
        label="Client errors"
        value={totals ? percent(totals.count ? totals.client_errors / totals.count : 0) : null}
        figure={totals?.count ? totals.client_errors / totals.count : undefined}
        share
        before={before && (before.count ? before.client_errors / before.count : null)}
        more="bad"
        note={totals && `${count(totals.client_errors)} of ${count(totals.count)}`}
        course={course((one) => (one.count ? one.client_errors / one.count : null), null)}
      />
      <StatCard
        label="Refused by limits"
        value={totals ? compact(totals.limited) : null}
        figure={totals?.limited}
        before={before?.limited}
        note={totals && `${percent(totals.count ? totals.limited / totals.count : 0)} of all requests`}
        course={course((one) => one.limited, 0)}
      />
    </StatCards>
  );
}
