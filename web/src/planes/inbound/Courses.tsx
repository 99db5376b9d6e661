/** Webhooks over time: what became of them, how long it took, and by source. */
import type { UseQueryResult } from '@tanstack/react-query';
import { useMemo } from 'react';
import { compact, duration, percent } from '../../time/format.ts';
import { counted, earlier } from '../../ui/chart/steps.ts';
import { Panel } from '../../ui/Panel.tsx';
import { type ChartData, type Figures, TimeChart } from '../../ui/TimeChart.tsx';
import { useView } from '../../view/view.ts';
import { byDeliveries, type Course, gridOf, onGrid } from './course.ts';
import type { Analytics } from './model.ts';

interface CourseProps {
  asked: UseQueryResult<Analytics>;
  before?: UseQueryResult<Analytics>;
}

type Summary = Analytics['total'];

/** Sources that have a layer of their own in a chart; the others are summed up. */
const LAYERS = 7;

function useCourse(analytics: Analytics | undefined): Course<Summary> {
  return useMemo(() => gridOf(analytics, analytics?.points ?? [], (point) => point.summary), [analytics]);
}

type Step = Analytics['points'][number];

/** Points of the period before at the same distance from its begin; null when one does not compare. */
function useBefore({ asked, before }: CourseProps, times: readonly number[]): readonly (Step | undefined)[] | null {
  const view = useView();
  const [now, old] = [asked.data, view.before ? before?.data : undefined];
  return useMemo(() => (now && old ? earlier(times, now, old, old.points) : null), [times, now, old]);
}

function beside(label: string, values: (number | null)[] | null | undefined) {
  return values ? [{ label, before: true, values } satisfies Figures] : [];
}

export function Outcomes({ asked, before }: CourseProps) {
  const { times, values } = useCourse(asked.data);
  const old = useBefore({ asked, before }, times);
  const data = useMemo<ChartData>(() => {
    const of = (pick: (one: Summary) => number) => values.map((one) => (one ? pick(one) : 0));
    return {
      times,
      series: [
        { label: 'Succeeded', tone: 'good', values: of((one) => one.succeeded) },
        { label: 'Tried again', tone: 'warn', values: of((one) => one.retried) },
        { label: 'Given up', tone: 'bad', values: of((one) => one.dead) },
        { label: 'Refused', tone: 'plain', values: of((one) => one.refused) },
        ...beside('Succeeded before', old && counted(old, ({ summary }) => summary.succeeded)),
      ],
    };
  }, [times, values, old]);
  return (
    <Panel title="Outcomes" note="what became of deliveries and attempts; whole minutes" of={asked}>
      <TimeChart label="Webhooks over time by outcome" data={data} format={compact} kind="bars" />
    </Panel>
  );
}

const ms = (us: number | null) => (us === null ? null : us / 1_000);

export function ProcessingTimes({ asked, before }: CourseProps) {
  const { times, values } = useCourse(asked.data);
  const old = useBefore({ asked, before }, times);
  const data = useMemo<ChartData>(
    () => ({
      times,
      series: [
        { label: 'p50', values: values.map((one) => ms(one?.p50_us ?? null)) },
        { label: 'p95', values: values.map((one) => ms(one?.p95_us ?? null)) },
        { label: 'p99', values: values.map((one) => ms(one?.p99_us ?? null)) },
        ...beside(
          'p95 before',
          old?.map((one) => ms(one?.summary.p95_us ?? null)),
        ),
      ],
    }),
    [times, values, old],
  );
  return (
    <Panel
      title="Processing time"
      note="all handlers of an event together"
      of={asked}
      empty={asked.data?.total.p50_us === null}
    >
      <TimeChart label="Processing time percentiles over time" data={data} format={duration} />
    </Panel>
  );
}

type SourcePoint = Analytics['source_points'][number];

/** One course a source, the most deliveries first, as they are drawn; those beyond {@link LAYERS} are left out. */
function useSourceCourses(analytics: Analytics | undefined) {
  return useMemo(() => {
    const names = byDeliveries(analytics?.by_source ?? [])
      .slice(0, LAYERS)
      .map((one) => one.source);
    const { times } = gridOf(analytics, analytics?.points ?? [], (point) => point.summary);
    const courses = names.map((name) => {
      const points = (analytics?.source_points ?? []).filter((point) => point.source === name);
      return { name, values: onGrid<SourcePoint, SourcePoint>(times, points, (point) => point) };
    });
    return { times, courses };
  }, [analytics]);
}

export function BySource({ asked }: CourseProps) {
  const { times, courses } = useSourceCourses(asked.data);
  const data = useMemo<ChartData>(
    () => ({
      times,
      series: courses.map(({ name, values }) => ({
        label: name,
        values: values.map((point) => (point ? point.received + point.refused : 0)),
      })),
    }),
    [times, courses],
  );
  return (
    <Panel title="Deliveries by source" note="accepted and refused, the busiest sources" of={asked}>
      <TimeChart label="Deliveries over time by source" data={data} format={compact} kind="bars" />
    </Panel>
  );
}

export function SuccessBySource({ asked }: CourseProps) {
  const { times, courses } = useSourceCourses(asked.data);
  const data = useMemo<ChartData>(
    () => ({
      times,
      series: courses.map(({ name, values }) => ({
        label: name,
        values: values.map((point) =>
          point && point.succeeded + point.dead > 0 ? point.succeeded / (point.succeeded + point.dead) : null,
        ),
      })),
    }),
    [times, courses],
  );
  return (
    <Panel title="Success by source" note="share of the events that ended well, of those that ended" of={asked}>
      <TimeChart label="Share of success over time by source" data={data} format={percent} />
    </Panel>
  );
}
