import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { compact, millis } from '../../time/format.ts';
import { counted, earlier } from '../../ui/chart/steps.ts';
import { Panel } from '../../ui/Panel.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { useView } from '../../view/view.ts';
import { type Analytics, useAnalytics, useFigureQuery } from './model.ts';
import { ToPart } from './ToPart.tsx';

/** Requests over time by what became of them. */
export function Volume() {
  const asked = useAnalytics();
  const { query } = useFigureQuery();
  const view = useView();
  const then = useTimed('/api-analytics', { ...query, endpoints: 1, consumers: 1 }, { which: 'before' });
  const known = asked.data;
  const old = view.before ? then.data : undefined;
  const data = useMemo(() => layers(known, old), [known, old]);
  return (
    <Panel
      title="Requests"
      note="by class of status"
      of={asked}
      empty={known?.totals.count === 0}
      actions={<ToPart change={{ part: 'calls' }}>Calls</ToPart>}
    >
      <TimeChart label="Requests over time by class of status" data={data} format={compact} kind="bars" />
    </Panel>
  );
}

function layers(known: Analytics | undefined, old: Analytics | undefined): ChartData {
  const points = known?.series ?? [];
  const timed = Object.keys(known?.statuses ?? {}).length > 0;
  const of = (first: string) =>
    points.map(({ statuses }) =>
      Object.entries(statuses).reduce((sum, [status, count]) => sum + (status[0] === first ? count : 0), 0),
    );
  const redirects = of('3');
  const left = of('0');
  const errors = [
    { label: '4xx', tone: 'warn' as const, values: points.map(({ stats }) => stats.client_errors) },
    { label: '5xx', tone: 'bad' as const, values: points.map(({ stats }) => stats.server_errors) },
  ];
  const good = points.map(
    ({ stats }, at) =>
      stats.count - stats.client_errors - stats.server_errors - (timed ? (redirects[at] ?? 0) + (left[at] ?? 0) : 0),
  );
  const times = points.map((point) => millis(point.at));
  const before = known && old ? earlier(times, known, old, old.series) : null;
  return {
    times,
    series: [
      { label: timed ? '2xx' : 'Good', tone: 'info', values: good },
      ...(redirects.some((one) => one > 0) ? [{ label: '3xx', tone: 'good' as const, values: redirects }] : []),
      ...errors,
      ...(left.some((one) => one > 0) ? [{ label: 'Client left', tone: 'plain' as const, values: left }] : []),
      ...(before ? [{ label: 'Before', before: true, values: counted(before, (one) => one.stats.count) }] : []),
    ],
  };
}
