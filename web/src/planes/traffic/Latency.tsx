/** How long requests took: percentiles over time, and how many took how long. */
import { SegmentedControl } from '@mantine/core';
import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { compact, duration, millis } from '../../time/format.ts';
import { earlier, filled } from '../../ui/chart/steps.ts';
import { Heatmap } from '../../ui/Heatmap.tsx';
import { IconChartLine, IconClock } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { Row } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint } from '../../ui/Snippet.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { useSetSearch, useView } from '../../view/view.ts';
import { useFigureQuery, useTrafficSearch } from './model.ts';
import type { Measure } from './search.ts';
import { ToPart } from './ToPart.tsx';

const CHOICES: { value: Measure; label: string }[] = [
  { value: 'total', label: 'Last byte' },
  { value: 'ttfb', label: 'First byte' },
  { value: 'background', label: 'Background' },
];

const NOTES: Record<Measure, string> = {
  total: 'until the last byte of the answer',
  ttfb: 'until the first byte of the answer',
  background: 'work after the last byte, from 1 ms on',
};

const NAMES = [
  ['p50', 'p50'],
  ['p75', 'p75'],
  ['p95', 'p95'],
  ['p99', 'p99'],
  ['p99_9', 'p99.9'],
] as const;

export function Latency() {
  const { query, consumer } = useFigureQuery();
  const { measure = 'total' } = useTrafficSearch();
  const set = useSetSearch();
  const view = useView();
  const { tenant, route, method } = query as { tenant?: string; route?: string; method?: string };
  const asked = { measure, ...(tenant ? { tenant } : {}), ...(route ? { route } : {}), ...(method ? { method } : {}) };
  const now = useTimed('/api-latency', asked, { enabled: !consumer });
  const then = useTimed('/api-latency', asked, { which: 'before', enabled: !consumer && view.before !== null });
  const known = now.data;
  const old = view.before ? then.data : undefined;
  const lines = useMemo<ChartData>(() => {
    if (!known) return { times: [], series: [] };
    const [times, points] = filled(known, known.series);
    const before = old ? earlier(times, known, old, old.series) : null;
    return {
      times,
      series: [
        ...NAMES.map(([name, label]) => ({
          label,
          values: points.map((point) => point?.percentiles_ms[name] ?? null),
        })),
        ...(before
          ? [{ label: 'p95 before', before: true, values: before.map((one) => one?.percentiles_ms.p95 ?? null) }]
          : []),
      ],
    };
  }, [known, old]);
  const map = useMemo(() => mapOf(known), [known]);
  const nothing = (
    <Hint
      icon={measure === 'background' ? <IconClock size={28} /> : <IconChartLine size={28} />}
      title={measure === 'background' ? 'No background work in this stretch of time' : 'No request was timed'}
      text={
        measure === 'background'
          ? 'What an app still does for a request after its answer is measured by itself:'
          : 'Every request of the app that Custodes is installed in is timed:'
      }
      snippet={
        measure === 'background'
          ? 'from starlette.background import BackgroundTask\n\nreturn JSONResponse(…, background=BackgroundTask(send_mail))'
          : 'from custodes import Custodes\n\ncustodes = Custodes()\ncustodes.install(app)'
      }
    />
  );
  if (consumer) {
    return (
      <Panel title="Response time">
        <Message
          icon={<IconClock size={28} />}
          title="Times are kept by endpoint, not by consumer"
          text="The calls of this consumer show the time of each."
        >
          <ToPart change={{ part: 'calls' }}>Show the calls</ToPart>
        </Message>
      </Panel>
    );
  }
  return (
    <Row least={420}>
      <Panel
        title="Response time"
        note={NOTES[measure]}
        of={now}
        empty={known?.timed === 0}
        whenEmpty={nothing}
        actions={
          <SegmentedControl
            size="xs"
            aria-label="Which time"
            data={CHOICES}
            value={measure}
            onChange={(next) => set({ measure: next === 'total' ? undefined : next })}
          />
        }
      >
        <TimeChart label={`Percentiles over time, ${NOTES[measure]}`} data={lines} format={duration} />
      </Panel>
      <Panel
        title="Distribution"
        note={
          known && known.timed > 0
            ? `${compact(known.timed)} timed, refused requests are not; the stronger the colour, the more`
            : undefined
        }
        of={now}
        empty={known?.timed === 0}
        actions={<ToPart change={{ part: 'calls' }}>Calls</ToPart>}
      >
        <Heatmap label={`How many took how long, ${NOTES[measure]}`} {...map} />
      </Panel>
    </Row>
  );
}

type Known = NonNullable<ReturnType<typeof useTimed<'/api-latency'>>['data']>;

/** All steps of the stretch, those without a time too: a gap must be seen as one. */
function mapOf(known: Known | undefined) {
  if (!known) return { times: [], step: 1, rows: [], counts: [] };
  const step = known.step_seconds * 1_000;
  const begin = millis(known.since);
  const length = Math.max(1, Math.round((millis(known.until) - begin) / step));
  const counts: number[][] = Array.from({ length }, () => known.bounds_ms.map(() => 0));
  for (const point of known.series) counts[Math.round((millis(point.at) - begin) / step)] = point.counts;
  return {
    times: counts.map((_, at) => begin + at * step),
    step,
    rows: known.bounds_ms.map((bound) => `≤ ${duration(bound)}`),
    counts,
  };
}
