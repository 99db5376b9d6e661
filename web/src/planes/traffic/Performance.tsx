import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { compact, count, duration, percent } from '../../time/format.ts';
import { Row } from '../../ui/Page.tsx';
import { StatCard, StatCards } from '../../ui/StatCard.tsx';
import { useView } from '../../view/view.ts';
import { Failing, FailingOverTime } from './Failing.tsx';
import { Latency } from './Latency.tsx';
import { useAnalytics, useFigureQuery } from './model.ts';
import { Pattern } from './Pattern.tsx';
import { Slowest } from './Slowest.tsx';
import { Volume } from './Volume.tsx';

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
  const before = then.data?.totals.count ? then.data.totals : undefined;
  const series = useMemo(() => now.data?.series ?? [], [now.data]);
  const seconds = Math.max(1, (span.to - span.from) / 1_000);
  const time = (name: 'p50' | 'p95' | 'p99' | 'p99_9', label: string) => (
    <StatCard
      label={label}
      value={totals ? (totals.timed > 0 ? duration(totals.total_ms[name]) : '–') : null}
      figure={totals?.timed ? totals.total_ms[name] : undefined}
      before={before?.timed ? before.total_ms[name] : null}
      more="bad"
      note={consumer ? 'not kept by consumer' : undefined}
      course={series.map(({ stats }) => (stats.timed > 0 ? stats.total_ms[name] : null))}
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
        course={series.map(({ stats }) => stats.count)}
      />
      {time('p50', 'Median time')}
      {time('p95', '95 % within')}
      {time('p99', '99 % within')}
      {time('p99_9', '99.9 % within')}
      <StatCard
        label="Server errors"
        value={totals ? percent(totals.error_rate) : null}
        figure={totals?.error_rate}
        share
        before={before?.error_rate}
        more="bad"
        tone={totals && totals.error_rate >= 0.05 ? 'bad' : undefined}
        note={totals && `${count(totals.server_errors)} of ${count(totals.count)}`}
        course={series.map(({ stats }) => stats.error_rate)}
      />
      <StatCard
        label="Client errors"
        value={totals ? percent(totals.count ? totals.client_errors / totals.count : 0) : null}
        figure={totals?.count ? totals.client_errors / totals.count : undefined}
        share
        before={before ? before.client_errors / before.count : null}
        more="bad"
        note={totals && `${count(totals.client_errors)} of ${count(totals.count)}`}
        course={series.map(({ stats }) => (stats.count ? stats.client_errors / stats.count : null))}
      />
      <StatCard
        label="Refused by limits"
        value={totals ? compact(totals.limited) : null}
        figure={totals?.limited}
        before={before?.limited}
        note={totals && `${percent(totals.count ? totals.limited / totals.count : 0)} of all requests`}
        course={series.map(({ stats }) => stats.limited)}
      />
    </StatCards>
  );
}
