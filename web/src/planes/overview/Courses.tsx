/** What came in and how long it took, over the range; behind it the period before where one compares. */
import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { compact, duration, millis } from '../../time/format.ts';
import { IconChartLine, IconInbox } from '../../ui/icons.ts';
import { Panel } from '../../ui/Panel.tsx';
import { Hint, installUrl } from '../../ui/Snippet.tsx';
import { type ChartData, type Figures, TimeChart } from '../../ui/TimeChart.tsx';
import { useView } from '../../view/view.ts';
import type { ApiHealth } from './model.ts';

interface Point<T> {
  at: string;
  value: T;
}

/** Figures of the period before, as if they were of now: step by step from the begin. */
export function beforeSeries<T>(
  label: string,
  points: readonly Point<T>[] | undefined,
  pick: (value: T) => number | null,
): Figures[] {
  return points ? [{ label, before: true, values: points.map((point) => pick(point.value)) }] : [];
}

export function Requests({ api }: { api: ApiHealth }) {
  const view = useView();
  const before = useTimed('/api-analytics', { endpoints: 1 }, { which: 'before', enabled: view.before !== null });
  const series = api.data?.analytics.series;
  const old = view.before ? before.data?.series : undefined;
  const data = useMemo<ChartData>(() => {
    const points = series ?? [];
    const last = points.map((_, at) => old?.[at]?.stats.count ?? null);
    return {
      times: points.map((point) => millis(point.at)),
      series: [
        {
          label: 'Good',
          tone: 'info',
          values: points.map(({ stats }) => stats.count - stats.client_errors - stats.server_errors),
        },
        { label: '4xx', tone: 'warn', values: points.map(({ stats }) => stats.client_errors) },
        { label: '5xx', tone: 'bad', values: points.map(({ stats }) => stats.server_errors) },
        ...(old ? [{ label: 'Before', before: true, values: last }] : []),
      ],
    };
  }, [series, old]);
  return (
    <Panel
      title="Requests"
      note="by status"
      of={api}
      empty={api.data?.analytics.totals.count === 0}
      whenEmpty={
        <Hint
          icon={<IconChartLine size={28} />}
          title="No request in this stretch of time"
          text="Every request of the app that Custodes is installed in shows up here:"
          snippet={'from custodes import Custodes\n\ncustodes = Custodes()\ncustodes.install(app)'}
        />
      }
    >
      <TimeChart label="Requests over time by status" data={data} format={compact} kind="bars" />
    </Panel>
  );
}

export function Times({ api }: { api: ApiHealth }) {
  const view = useView();
  const before = useTimed('/api-analytics', { endpoints: 1 }, { which: 'before', enabled: view.before !== null });
  const series = api.data?.analytics.series;
  const old = view.before ? before.data?.series : undefined;
  const data = useMemo<ChartData>(() => {
    const points = series ?? [];
    const of = (name: 'p50' | 'p95' | 'p99') =>
      points.map(({ stats }) => (stats.timed > 0 ? stats.total_ms[name] : null));
    const last = points.map((_, at) => (old?.[at]?.stats.timed ? (old[at]?.stats.total_ms.p95 ?? null) : null));
    return {
      times: points.map((point) => millis(point.at)),
      series: [
        { label: 'p50', values: of('p50') },
        { label: 'p95', values: of('p95') },
        { label: 'p99', values: of('p99') },
        ...(old ? [{ label: 'p95 before', before: true, values: last }] : []),
      ],
    };
  }, [series, old]);
  return (
    <Panel
      title="Response time"
      note="p95: 95 % took at most this long"
      of={api}
      empty={api.data?.analytics.totals.timed === 0}
    >
      <TimeChart label="Response time percentiles over time" data={data} format={duration} />
    </Panel>
  );
}

export function Webhooks() {
  const asked = useTimed('/webhook-analytics');
  const points = asked.data?.points;
  const data = useMemo<ChartData>(() => {
    const known = points ?? [];
    return {
      times: known.map((point) => millis(point.at)),
      series: [
        { label: 'Succeeded', tone: 'good', values: known.map(({ summary }) => summary.succeeded) },
        { label: 'Retried', tone: 'warn', values: known.map(({ summary }) => summary.retried) },
        { label: 'Given up', tone: 'bad', values: known.map(({ summary }) => summary.dead) },
        { label: 'Refused', tone: 'plain', values: known.map(({ summary }) => summary.refused) },
      ],
    };
  }, [points]);
  const url = installUrl(boot.root);
  return (
    <Panel
      title="Webhooks"
      note="by what became of them"
      of={asked}
      empty={asked.data !== undefined && asked.data.total.received + asked.data.total.refused === 0}
      whenEmpty={
        <Hint
          icon={<IconInbox size={28} />}
          title="No webhook in this stretch of time"
          text="Give a sender this address, and its secret to Custodes:"
          snippet={`${url}/hooks/stripe\n\nSTRIPE_WEBHOOK_SECRET=whsec_…`}
        />
      }
    >
      <TimeChart label="Webhooks over time by outcome" data={data} format={compact} kind="bars" />
    </Panel>
  );
}
