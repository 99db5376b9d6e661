/** What came in and how long it took, over the range; behind it the period before where one compares. */
import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { compact, duration } from '../../time/format.ts';
import { counted, earlier, filled } from '../../ui/chart/steps.ts';
import { IconChartLine, IconInbox } from '../../ui/icons.ts';
import { Panel } from '../../ui/Panel.tsx';
import { Hint, installUrl } from '../../ui/Snippet.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { useView } from '../../view/view.ts';
import type { ApiHealth } from './model.ts';

type Analytics = NonNullable<ApiHealth['data']>['analytics'];
type Point = Analytics['series'][number];

/** Every step of the range, and behind each the one before where one compares. */
function onSteps(now: Analytics | undefined, old: Analytics | undefined) {
  if (!now) return { times: [], points: [], before: null };
  const [times, points] = filled(now, now.series);
  return { times, points, before: old ? earlier(times, now, old, old.series) : null };
}

export function Requests({ api }: { api: ApiHealth }) {
  const view = useView();
  const before = useTimed('/api-analytics', { endpoints: 1 }, { which: 'before', enabled: view.before !== null });
  const now = api.data?.analytics;
  const old = view.before ? before.data : undefined;
  const data = useMemo<ChartData>(() => {
    const { times, points, before } = onSteps(now, old);
    const good = (one: Point) => one.stats.count - one.stats.client_errors - one.stats.server_errors;
    return {
      times,
      series: [
        { label: 'Good', tone: 'info', values: points.map((one) => (one ? good(one) : 0)) },
        { label: '4xx', tone: 'warn', values: points.map((one) => one?.stats.client_errors ?? 0) },
        { label: '5xx', tone: 'bad', values: points.map((one) => one?.stats.server_errors ?? 0) },
        ...(before ? [{ label: 'Before', before: true, values: counted(before, (one) => one.stats.count) }] : []),
      ],
    };
  }, [now, old]);
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
  const now = api.data?.analytics;
  const old = view.before ? before.data : undefined;
  const data = useMemo<ChartData>(() => {
    const { times, points, before } = onSteps(now, old);
    const of = (name: 'p50' | 'p95' | 'p99') => (one: Point | undefined) =>
      one && one.stats.timed > 0 ? one.stats.total_ms[name] : null;
    return {
      times,
      series: [
        { label: 'p50', values: points.map(of('p50')) },
        { label: 'p95', values: points.map(of('p95')) },
        { label: 'p99', values: points.map(of('p99')) },
        ...(before ? [{ label: 'p95 before', before: true, values: before.map(of('p95')) }] : []),
      ],
    };
  }, [now, old]);
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
  const view = useView();
  const then = useTimed('/webhook-analytics', {}, { which: 'before', enabled: view.before !== null });
  const now = asked.data;
  const old = view.before ? then.data : undefined;
  const data = useMemo<ChartData>(() => {
    if (!now) return { times: [], series: [] };
    const [times, points] = filled(now, now.points);
    const before = old && earlier(times, now, old, old.points);
    return {
      times,
      series: [
        { label: 'Succeeded', tone: 'good', values: points.map((one) => one?.summary.succeeded ?? 0) },
        { label: 'Retried', tone: 'warn', values: points.map((one) => one?.summary.retried ?? 0) },
        { label: 'Given up', tone: 'bad', values: points.map((one) => one?.summary.dead ?? 0) },
        { label: 'Refused', tone: 'plain', values: points.map((one) => one?.summary.refused ?? 0) },
        ...(before
          ? [{ label: 'Succeeded before', before: true, values: counted(before, ({ summary }) => summary.succeeded) }]
          : []),
      ],
    };
  }, [now, old]);
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
