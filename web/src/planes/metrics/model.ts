import type { Answer } from '../../api/hooks.ts';
import { filled } from '../../ui/chart/steps.ts';

export type Course = Answer<'/system-metrics/courses'>['items'][number];
export type Series = Answer<'/system-metrics/series'>;
export type Kind = Course['kind'];

/** How the numbers of a step can become one, for each kind; what a kind is told by comes first. */
export const AGGREGATIONS: Record<Kind, readonly { value: string; label: string }[]> = {
  counter: [
    { value: 'sum', label: 'Sum of a step' },
    { value: 'rate', label: 'A second' },
    { value: 'count', label: 'Measurements' },
    { value: 'avg', label: 'Mean increment' },
  ],
  gauge: [
    { value: 'last', label: 'Last' },
    { value: 'avg', label: 'Mean' },
    { value: 'min', label: 'Least' },
    { value: 'max', label: 'Greatest' },
    { value: 'count', label: 'Measurements' },
  ],
  histogram: [
    { value: 'percentiles', label: 'p50, p95, p99' },
    { value: 'p95', label: 'p95' },
    { value: 'p99', label: 'p99' },
    { value: 'p50', label: 'p50' },
    { value: 'avg', label: 'Mean' },
    { value: 'max', label: 'Greatest' },
    { value: 'count', label: 'Measurements' },
    { value: 'sum', label: 'Sum of a step' },
  ],
};

/** The three of a histogram. */
export const PERCENTILES = ['p50', 'p95', 'p99'] as const;

/** What is shown: what the URL says where that makes sense of the kind, else what the kind is told by. */
export function aggregationOf(kind: Kind, wanted: string | undefined): string {
  const known = AGGREGATIONS[kind];
  return known.some((one) => one.value === wanted) ? (wanted as string) : (known[0]?.value ?? 'avg');
}

/** What a figure is nought by where nothing was measured; the others are not there. */
const ZERO = new Set(['sum', 'rate', 'count']);

/** The values of every step of a range. */
export function valuesOf(
  when: { since: string; until: string },
  answer: Pick<Series, 'step_seconds' | 'aggregation'>,
  points: Series['lines'][number]['points'],
): [times: number[], values: (number | null)[]] {
  const none = ZERO.has(answer.aggregation) ? 0 : null;
  const [times, known] = filled({ ...when, step_seconds: answer.step_seconds }, points);
  return [times, known.map((point) => point?.value ?? none)];
}

/** The labels of a line, as one reads them. */
export function nameOf(labels: Record<string, string>, none: string): string {
  const pairs = Object.entries(labels);
  if (pairs.length === 0) return none;
  return pairs.length === 1 ? (pairs[0]?.[1] ?? '') : pairs.map(([name, value]) => `${name}: ${value}`).join(', ');
}

/** What a metric is told by at a glance, in a word. */
export const GLANCE: Record<string, string> = { sum: 'in all', last: 'last', p95: 'p95' };
