/** Attempts over time: what was answered, and how long it took; behind it the period before where one compares. */
import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { compact, duration } from '../../time/format.ts';
import { counted, earlier, filled } from '../../ui/chart/steps.ts';
import { Panel } from '../../ui/Panel.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { useView } from '../../view/view.ts';
import style from './Outbound.module.css';

export function Courses({ endpointId }: { endpointId?: string }) {
  const view = useView();
  const query = endpointId ? { endpoint_id: endpointId } : {};
  const asked = useTimed('/webhook-delivery-analytics', query);
  const then = useTimed('/webhook-delivery-analytics', query, { which: 'before', enabled: view.before !== null });
  const found = asked.data;
  const old = view.before ? then.data : undefined;
  const [answers, times] = useMemo<[ChartData, ChartData]>(() => {
    if (!found) return [NOTHING, NOTHING];
    const [grid, points] = filled(found, found.points);
    const before = old ? earlier(grid, found, old, old.points) : null;
    return [
      {
        times: grid,
        series: [
          { label: '2xx', tone: 'good', values: points.map((one) => one?.succeeded ?? 0) },
          { label: '3xx', tone: 'plain', values: points.map((one) => one?.redirects ?? 0) },
          { label: '4xx', tone: 'warn', values: points.map((one) => one?.client_errors ?? 0) },
          { label: '5xx', tone: 'bad', values: points.map((one) => one?.server_errors ?? 0) },
          { label: 'No answer', tone: 'info', values: points.map((one) => one?.unanswered ?? 0) },
          ...(before ? [{ label: 'Before', before: true, values: counted(before, (one) => one.attempts) }] : []),
        ],
      },
      {
        times: grid,
        series: [
          { label: 'p50', values: points.map((one) => one?.p50_ms ?? null) },
          { label: 'p95', values: points.map((one) => one?.p95_ms ?? null) },
          { label: 'p99', values: points.map((one) => one?.p99_ms ?? null) },
          ...(before ? [{ label: 'p95 before', before: true, values: before.map((one) => one?.p95_ms ?? null) }] : []),
        ],
      },
    ];
  }, [found, old]);
  const empty = found?.total.attempts === 0;
  return (
    <div className={style.courses}>
      <Panel title="Attempts" note="by what was answered" of={asked} empty={empty}>
        <TimeChart label="Attempts over time by answer" data={answers} format={compact} kind="bars" height={180} />
      </Panel>
      <Panel title="Time to answer" note="p95: 95 % took at most this long" of={asked} empty={empty}>
        <TimeChart label="Time of attempts" data={times} format={duration} height={180} />
      </Panel>
    </div>
  );
}

const NOTHING: ChartData = { times: [], series: [] };
