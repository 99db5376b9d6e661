/** Points with gaps, put on an even grid of time. */
import { millis } from '../../time/format.ts';

interface Ranged {
  since: string;
  until: string;
  step_seconds: number;
}

export interface Course<T> {
  /** Begin of each step, milliseconds since the epoch. */
  times: readonly number[];
  /** One for each step; null where nothing happened. */
  values: readonly (T | null)[];
}

/** Steps of a grid at most, whatever the answer says. */
const MOST = 2_000;

/** Put points on the grid of their range; stretches without a point are null. */
export function gridOf<P extends { at: string }, T>(
  range: Ranged | undefined,
  points: readonly P[],
  pick: (point: P) => T,
): Course<T> {
  if (!range) return { times: [], values: [] };
  const step = range.step_seconds * 1_000;
  // The range may begin within its first step.
  const [since, until] = [Math.floor(millis(range.since) / step) * step, millis(range.until)];
  const steps = Math.min(MOST, Math.max(0, Math.ceil((until - since) / step)));
  const times = Array.from({ length: steps }, (_, at) => since + at * step);
  return { times, values: onGrid(times, points, pick) };
}

export function onGrid<P extends { at: string }, T>(
  times: readonly number[],
  points: readonly P[],
  pick: (point: P) => T,
): (T | null)[] {
  const found = new Map(points.map((point) => [millis(point.at), pick(point)]));
  return times.map((at) => found.get(at) ?? null);
}

interface OfSource {
  source: string;
  summary: { received: number; refused: number };
}

/** Sources by what a chart of deliveries draws of each: accepted and refused, the most first. */
export function byDeliveries<S extends OfSource>(sources: readonly S[]): S[] {
  const drawn = ({ summary }: S) => summary.received + summary.refused;
  return [...sources].sort((a, b) => drawn(b) - drawn(a));
}
