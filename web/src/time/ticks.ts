/** Round moments of a stretch of time, for an axis that is no chart of uPlot. */
import { startOfDay, tick, type Zone } from './format.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Distances between them, milliseconds. */
const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 7, 14, 28, 56, 112].map((days) => days * DAY),
];

/** Most of them. */
const MOST = 6;

/** Round moments from `from` to before `to`, each as it is written in a zone. */
export function ticks(from: number, to: number, zone: Zone): [moment: number, name: string][] {
  const step = STEPS.find((one) => (to - from) / one <= MOST) ?? DAY * 112;
  const found: [number, string][] = [];
  // Counted from midnight, so that hours are those of the zone.
  const midnight = startOfDay(from, zone);
  for (let at = midnight + Math.ceil((from - midnight) / step) * step; at < to; at += step) {
    found.push([at, tick(at, step, zone)]);
  }
  return found;
}
