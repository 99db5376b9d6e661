/** Answers leave out the steps in which nothing was counted, and begin their steps at round moments: put in order. */
import { millis } from '../../time/format.ts';

interface Stretch {
  since: string;
  until: string;
  /** Width of a step, seconds; the API calls it by several names. */
  step_seconds?: number;
  bucket_seconds?: number;
  width_seconds?: number;
}

type Point = { at: string };

function widthOf({ step_seconds, bucket_seconds, width_seconds }: Stretch): number {
  return (step_seconds ?? bucket_seconds ?? width_seconds ?? 1) * 1_000;
}

/** Begin of every step of a stretch of time, with its point where there is one. */
export function filled<P extends Point>(answer: Stretch, points: readonly P[]): [number[], (P | undefined)[]] {
  const step = widthOf(answer);
  const known = new Map(points.map((point) => [millis(point.at), point]));
  const times: number[] = [];
  for (let at = Math.floor(millis(answer.since) / step) * step; at < millis(answer.until); at += step) times.push(at);
  return [times, times.map((at) => known.get(at))];
}

/** Course of one figure over all steps of a stretch, `none` where nothing was. */
export function courseOf<P extends Point>(
  answer: Stretch | undefined,
  points: readonly P[] | undefined,
  pick: (point: P) => number | null | undefined,
  none: number | null = 0,
): (number | null)[] {
  if (!answer || !points) return [];
  return filled(answer, points)[1].map((point) => (point ? (pick(point) ?? null) : none));
}

/**
 * Counts of the period before, as they are drawn: none where nothing had been counted yet.
 *
 * A step in which nothing was is 0; those before the first in which something was may be older than the install.
 */
export function counted<P>(points: readonly (P | undefined)[], pick: (point: P) => number): (number | null)[] {
  const first = points.findIndex((point) => point !== undefined && pick(point) > 0);
  return points.map((point, at) => (first < 0 || at < first ? null : point ? pick(point) : 0));
}

/**
 * For each step of a chart the point of the period before that is as far from the begin of its period.
 *
 * A step in which nothing was is undefined. An answer whose steps have another width says nothing about these: null; it is
 * one that was asked before one began to compare, and the next has the steps of both (`api/beside.ts`).
 */
export function earlier<P extends Point>(
  times: readonly number[],
  now: Stretch,
  then: Stretch,
  points: readonly P[],
): (P | undefined)[] | null {
  const step = widthOf(now);
  if (step !== widthOf(then)) return null;
  const place = (at: number, { since }: Stretch) => Math.floor((at - millis(since)) / step);
  const found = new Map(points.map((point) => [place(millis(point.at), then), point]));
  return times.map((at) => found.get(place(at, now)));
}
