/**
 * Time ranges as people type them and as the URL keeps them.
 *
 * A bound is `now`, `now-6h`, `now-1d/d` (that day's begin) or a moment in ISO 8601, UTC. Relative bounds stay relative:
 * "last 6 hours" is still that after an hour.
 */
import { moment, parseLocal, startOfDay, type Zone } from './format.ts';

export interface Bounds {
  from: string;
  to: string;
}

/** A stretch of time, milliseconds since the epoch; `to` is not included. */
export interface Span {
  from: number;
  to: number;
}

export const DEFAULT_BOUNDS: Bounds = { from: 'now-1h', to: 'now' };

/** Longest range, milliseconds: what the coarsest rollups are kept for. */
export const LONGEST = 400 * 86_400_000;

export const PRESETS: readonly { label: string; from: string; to?: string }[] = [
  { label: 'Last minute', from: 'now-1m' },
  { label: 'Last 5 minutes', from: 'now-5m' },
  { label: 'Last 15 minutes', from: 'now-15m' },
  { label: 'Last 30 minutes', from: 'now-30m' },
  { label: 'Last hour', from: 'now-1h' },
  { label: 'Last 3 hours', from: 'now-3h' },
  { label: 'Last 6 hours', from: 'now-6h' },
  { label: 'Last 12 hours', from: 'now-12h' },
  { label: 'Last 24 hours', from: 'now-24h' },
  { label: 'Last 2 days', from: 'now-2d' },
  { label: 'Last 7 days', from: 'now-7d' },
  { label: 'Last 30 days', from: 'now-30d' },
  { label: 'Last 90 days', from: 'now-90d' },
  { label: 'Today', from: 'now/d' },
  { label: 'Yesterday', from: 'now-1d/d', to: 'now/d' },
];

const MILLIS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const NAMES: Record<string, string> = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week' };
const BOUND = /^now(?:-(\d{1,6})([smhdw]))?(\/d)?$/;
const UNIT = 's|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hr|hrs|hour|hours|d|day|days|w|wk|week|weeks';
const TYPED = new RegExp(`^(?:last|past|now-|-)?\\s*(\\d{1,6})?\\s*(${UNIT})(?:\\s+ago)?$`);

/**
 * What stands between the two moments of a range: a word, dots, any dash.
 *
 * A plain hyphen is in dates and in offsets from UTC as well: it is one between moments after a time of day that is none
 * of ISO 8601 (`2026-11-25T10:00-05:00`), before a date, and wherever there is a space on both sides.
 */
const BETWEEN =
  /\s+(?:to|until|[-‐‑−])\s+|\s*(?:\.\.|–|—)\s*|(?<=:\d\d)(?<!t[\d:]+)\s*[-‐‑−]\s*|(?<=\d)\s*[-‐‑−]\s*(?=\d{4}-\d\d)/i;

export function isRelative(bound: string): boolean {
  return bound.startsWith('now');
}

/** Milliseconds of a bound; null when it is none. */
export function resolveBound(bound: string, now: number, zone: Zone): number | null {
  const found = BOUND.exec(bound);
  if (found) {
    const back = found[1] && found[2] ? Number(found[1]) * (MILLIS[found[2]] ?? 0) : 0;
    return found[3] ? startOfDay(now - back, zone) : now - back;
  }
  if (!/^\d{4}-\d\d-\d\dT/.test(bound)) return null;
  const at = Date.parse(bound);
  return Number.isNaN(at) ? null : at;
}

/** The stretch that bounds mean now, in whole units; the default one when they make no sense. */
export function resolve(bounds: Bounds, now: number, zone: Zone): Span {
  const from = resolveBound(bounds.from, now, zone);
  const to = resolveBound(bounds.to, now, zone);
  if (from === null || to === null || from >= to || to - from > LONGEST) {
    return inUnits({ from: now - 3_600_000, to: now }, now);
  }
  return inUnits({ from, to }, now);
}

/**
 * What the begin and the end of a stretch are whole of, by its length, milliseconds.
 *
 * Planes keep their figures by ten seconds, by minutes, by hours: a stretch that begins where all of them do is the same
 * on every page, and in the rows of its tables. The unit is a step of the charts of calls, a minute at least; a day of
 * any zone begins with a whole one up to a day and a half, and what is longer begins with hours that are kept by all.
 */
const UNITS: readonly [upTo: number, unit: number][] = [
  [3 * 3_600_000, 60_000],
  [15 * 3_600_000, 300_000],
  [30 * 3_600_000, 600_000],
  [45 * 3_600_000, 900_000],
  [90 * 3_600_000, 1_800_000],
  [180 * 3_600_000, 3_600_000],
  [540 * 3_600_000, 10_800_000],
  [45 * 86_400_000, 21_600_000],
];

function unitOf(length: number): number {
  // Who looks at seconds wants these; figures that are kept by minutes are then those of whole minutes.
  if (length < 60_000) return 1;
  return UNITS.find(([upTo]) => length <= upTo)?.[1] ?? 86_400_000;
}

/**
 * Widen a stretch to whole units: what ends now ends now.
 *
 * What ended a moment ago ends with its minute, which may not be over: a link to it means the same for everybody.
 */
function inUnits({ from, to }: Span, now: number): Span {
  const unit = unitOf(to - from);
  const up = (width: number) => Math.ceil(to / width) * width;
  const end = to === now ? now : up(unit) <= now ? up(unit) : up(Math.min(unit, 60_000));
  return { from: Math.floor(from / unit) * unit, to: end };
}

/** Length of a stretch in whole units: of the last hour, which may have begun a few seconds before, an hour. */
export function lengthOf(span: Span): number {
  const length = span.to - span.from;
  const unit = unitOf(length);
  return Math.max(1, Math.floor(length / unit)) * unit;
}

/** A stretch as query parameters of the API. */
export function asQuery(span: Span): { since: string; until: string } {
  return { since: new Date(span.from).toISOString(), until: new Date(span.to).toISOString() };
}

/** The same stretch as many units earlier as it has: both are as long to the second, and begin where their steps do. */
export function previous(span: Span): Span {
  const length = lengthOf(span);
  return { from: span.from - length, to: span.to - length };
}

/** What somebody typed, as bounds; null when it cannot be read. */
export function parseTyped(text: string, zone: Zone): Bounds | null {
  const typed = text.trim().toLowerCase().replace(/\s+/g, ' ');
  if (typed === 'today') return { from: 'now/d', to: 'now' };
  if (typed === 'yesterday') return { from: 'now-1d/d', to: 'now/d' };
  const relative = TYPED.exec(typed);
  if (relative?.[2]) {
    const unit = relative[2].charAt(0);
    const many = Number(relative[1] ?? '1');
    const length = many * (MILLIS[unit] ?? 0);
    return length > 0 && length <= LONGEST ? { from: `now-${many}${unit}`, to: 'now' } : null;
  }
  const [begin, end, ...more] = text.trim().split(BETWEEN);
  if (!begin || more.length > 0) return null;
  const now = Date.now();
  const from = typedMoment(onDay(begin, zone, now), zone);
  const first = from === null ? null : resolveBound(from, now, zone);
  if (from === null || first === null) return null;
  const to = end ? typedMoment(onDay(end, zone, now, first), zone) : 'now';
  if (to === null) return null;
  const last = resolveBound(to, now, zone);
  return last !== null && first < last && last - first <= LONGEST ? { from, to } : null;
}

const DAY = 86_400_000;
const TIME = /^(?:(today|yesterday)\s+)?(\d{1,2}:\d\d(?::\d\d)?)$/i;

/**
 * A time of day with its date: of the day that is named; after `since` the next such time, else the last one until now.
 *
 * What is no such time stays as it is.
 */
function onDay(text: string, zone: Zone, now: number, since?: number): string {
  const [, day, clock] = TIME.exec(text.trim()) ?? [];
  if (!clock) return text;
  const time = clock.padStart(clock.length + (clock.indexOf(':') === 1 ? 1 : 0), '0');
  // Noon of a day is in that day, also where the clocks change.
  const on = (at: number, days: number) =>
    `${moment(startOfDay(at, zone) + DAY / 2 + days * DAY, zone).slice(0, 10)} ${time}`;
  if (day) return on(now, day.toLowerCase() === 'today' ? 0 : -1);
  if (since !== undefined) {
    const same = on(since, 0);
    return (parseLocal(same, zone) ?? 0) > since ? same : on(since, 1);
  }
  const today = on(now, 0);
  return (parseLocal(today, zone) ?? 0) <= now ? today : on(now, -1);
}

function typedMoment(text: string, zone: Zone): string | null {
  const lower = text.trim().toLowerCase();
  if (BOUND.test(lower)) return lower;
  if (/z$|[+-]\d\d:?\d\d$/i.test(text.trim()) && /t/i.test(text)) {
    const at = Date.parse(text.trim());
    return Number.isNaN(at) ? null : new Date(at).toISOString();
  }
  const at = parseLocal(text.trim(), zone);
  return at === null ? null : new Date(at).toISOString();
}

/** Bounds for a stretch that was chosen on a chart. */
export function absolute(span: Span): Bounds {
  return { from: new Date(Math.round(span.from)).toISOString(), to: new Date(Math.round(span.to)).toISOString() };
}

/** In words, when the bounds are relative; null otherwise. */
export function relativeLabel(bounds: Bounds): string | null {
  const preset = PRESETS.find((one) => one.from === bounds.from && (one.to ?? 'now') === bounds.to);
  if (preset) return preset.label;
  const found = BOUND.exec(bounds.from);
  if (bounds.to !== 'now' || !found?.[1] || !found[2] || found[3]) return null;
  const many = Number(found[1]);
  return many === 1 ? `Last ${NAMES[found[2]]}` : `Last ${many} ${NAMES[found[2]]}s`;
}

/** Twice as wide around the same middle, not beyond now: what one does after a zoom that went too far. */
export function widened(span: Span, now: number): Span {
  const half = (span.to - span.from) / 2;
  const to = Math.min(now, span.to + half);
  return { from: to - Math.min(LONGEST, (span.to - span.from) * 2), to };
}
