/**
 * How moments and figures are written: the only place, so that tables, axes and tooltips agree.
 *
 * Moments are handed over as ISO 8601 or milliseconds since the epoch and written in the reader's choice of zone, with a
 * 24-hour clock and the order of ISO, which nobody can misread at 3 a.m.
 */

/** `local` is the reader's own; else a name of the IANA database: `Europe/Berlin`. */
export type Zone = 'local' | 'utc' | (string & {});
/** `iso` is what a machine reads, and says its distance from UTC: `2026-11-25T18:44:48.123+01:00`. */
export type Detail = 'date' | 'minute' | 'second' | 'milli' | 'iso';
type When = string | number;

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

interface Parts {
  year: string;
  month: string;
  day: string;
  hour: string;
  minute: string;
  second: string;
  milli: string;
  weekday: string;
}

const formatters = new Map<Zone, Intl.DateTimeFormat>();

function formatter(zone: Zone): Intl.DateTimeFormat {
  const known = formatters.get(zone);
  if (known) return known;
  const made = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone === 'local' ? undefined : zone === 'utc' ? 'UTC' : zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    fractionalSecondDigits: 3,
    weekday: 'short',
  });
  formatters.set(zone, made);
  return made;
}

/** The zone that a name means; undefined when this browser knows none of that name. */
export function zoneNamed(name: string): Zone | undefined {
  if (name.toLowerCase() === 'utc') return 'utc';
  if (!/^[A-Za-z][\w+-]{0,31}(\/[\w+-]{1,31}){0,2}$/.test(name)) return undefined;
  try {
    return new Intl.DateTimeFormat('en-GB', { timeZone: name }).resolvedOptions().timeZone && name;
  } catch {
    return undefined;
  }
}

function parts(at: number, zone: Zone): Parts {
  const found: Record<string, string> = {};
  for (const { type, value } of formatter(zone).formatToParts(at)) found[type] = value;
  return {
    year: found.year ?? '',
    month: found.month ?? '',
    day: found.day ?? '',
    hour: found.hour ?? '',
    minute: found.minute ?? '',
    second: found.second ?? '',
    milli: found.fractionalSecond ?? '',
    weekday: found.weekday ?? '',
  };
}

export function millis(when: When): number {
  return typeof when === 'number' ? when : Date.parse(when);
}

/** Name of a zone as it is shown beside times: `UTC`, `Europe/Berlin`. */
export function zoneName(zone: Zone): string {
  if (zone === 'utc') return 'UTC';
  return zone === 'local' ? new Intl.DateTimeFormat().resolvedOptions().timeZone : zone;
}

/** How far a zone is from UTC: `UTC+02:00`. */
export function zoneOffset(zone: Zone, at: number): string {
  const minutes = Math.round(offset(at, zone) / MINUTE);
  return minutes === 0 ? 'UTC' : `UTC${distance(minutes, '−')}`;
}

function distance(minutes: number, minus: string): string {
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${minutes < 0 ? minus : '+'}${pad(hours)}:${pad(rest)}`;
}

/** `2026-11-25 18:44:48`. */
export function moment(when: When, zone: Zone, detail: Detail = 'second'): string {
  const at = millis(when);
  if (!Number.isFinite(at)) return '–';
  const p = parts(at, zone);
  const date = `${p.year}-${p.month}-${p.day}`;
  if (detail === 'date') return date;
  if (detail === 'iso') {
    const away = zone === 'utc' ? 'Z' : distance(Math.round(offset(at, zone) / MINUTE), '-');
    return `${date}T${p.hour}:${p.minute}:${p.second}.${p.milli}${away}`;
  }
  const minute = `${date} ${p.hour}:${p.minute}`;
  if (detail === 'minute') return minute;
  return detail === 'second' ? `${minute}:${p.second}` : `${minute}:${p.second}.${p.milli}`;
}

/** `18:44:48`, for rows that are all of today; with the date otherwise. */
export function clock(when: When, zone: Zone, now: number): string {
  const written = moment(when, zone);
  return written.startsWith(moment(now, zone, 'date')) ? written.slice(11) : written.slice(5);
}

const WEEK = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Where a moment falls in the week: day from 0, Monday, to 6, and hour of the day. */
export function placeInWeek(at: number, zone: Zone): { day: number; hour: number } {
  const p = parts(at, zone);
  return { day: WEEK.indexOf(p.weekday), hour: Number(p.hour) };
}

/** Name of a day of the week, from 0, Monday: `Mon`. */
export function weekday(day: number): string {
  return WEEK[day] ?? '';
}

/** A stretch of time; the date is not said twice. */
export function span(from: number, to: number, zone: Zone): string {
  const detail = to - from < 10 * MINUTE ? 'second' : 'minute';
  const [begin, end] = [moment(from, zone, detail), moment(to, zone, detail)];
  return `${begin} – ${begin.slice(0, 10) === end.slice(0, 10) ? end.slice(11) : end}`;
}

/** A tick on an axis: as much as tells it from its neighbours. */
export function tick(at: number, step: number, zone: Zone): string {
  const p = parts(at, zone);
  const midnight = p.hour === '00' && p.minute === '00' && p.second === '00';
  if (step >= DAY) return `${p.month}-${p.day}`;
  if (midnight) return `${p.month}-${p.day}`;
  if (step >= MINUTE) return `${p.hour}:${p.minute}`;
  return step >= 1_000 ? `${p.hour}:${p.minute}:${p.second}` : `${p.minute}:${p.second}.${p.milli}`;
}

/** `3 min ago`, of what has happened; `now` also where the page's now is a little behind it, or a clock. */
export function ago(when: When, now: number): string {
  const past = now - millis(when);
  return past < 2_000 ? 'now' : `${length(past)} ago`;
}

/** `in 3 min`, of what is to happen; `now` as soon as it may, also where it is late. */
export function ahead(when: When, now: number): string {
  const left = millis(when) - now;
  return left < 2_000 ? 'now' : `in ${length(left)}`;
}

/** `in 3 min` or `3 min ago`, of what may be over. */
export function around(when: When, now: number): string {
  return millis(when) > now ? ahead(when, now) : ago(when, now);
}

/** A length of time in its greatest unit: `3 min`. */
export function length(span: number): string {
  if (span < MINUTE) return `${Math.floor(span / 1_000)} s`;
  if (span < HOUR) return `${Math.floor(span / MINUTE)} min`;
  return span < 2 * DAY ? `${Math.floor(span / HOUR)} h` : `${Math.floor(span / DAY)} d`;
}

/** Milliseconds as they are measured: `0.42 ms`, `38 ms`, `1.24 s`, `2 min 5 s`, `5 h`, `1 d 12 h`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–';
  if (ms === 0) return '0 ms';
  if (ms < 0.1) return `${digits(ms * 1_000, ms < 0.01 ? 1 : 0)} µs`;
  if (ms < 1) return `${digits(ms, 2)} ms`;
  if (ms < 1_000) return `${digits(ms, ms < 10 ? 1 : 0)} ms`;
  if (ms < MINUTE) return `${digits(ms / 1_000, 2)} s`;
  if (ms < HOUR) return inTwo(ms, MINUTE, 'min', 1_000, 's');
  return ms < DAY ? inTwo(ms, HOUR, 'h', MINUTE, 'min') : inTwo(ms, DAY, 'd', HOUR, 'h');
}

/** A length in a unit and the next smaller one; without that one where there is nothing of it. */
function inTwo(ms: number, large: number, unit: string, small: number, smaller: string): string {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)} ${unit}${rest > 0 ? ` ${rest} ${smaller}` : ''}`;
}

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** `12,345`. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : whole.format(value);
}

/** `12.3 k`: where there is no room for all digits. */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size < 10 && !Number.isInteger(value)) return digits(value, 2);
  if (size < 10_000) return whole.format(value);
  if (size < 1e6) return `${digits(value / 1e3, 1)} k`;
  return size < 1e9 ? `${digits(value / 1e6, 1)} M` : `${digits(value / 1e9, 1)} G`;
}

/** Of whatever unit: as {@link compact}, and small ones with three digits that say something. */
export function quantity(value: number | null | undefined): string {
  const small = value !== null && value !== undefined && value !== 0 && Math.abs(value) < 1;
  return small ? String(Number(value.toPrecision(3))) : compact(value);
}

/** A share of one as per cent: `0.42 %`. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return '–';
  const value = share * 100;
  if (value === 0 || value === 100) return `${value} %`;
  if (value < 0.01) return '< 0.01 %';
  return `${digits(value, value < 10 || value > 99 ? 2 : 1)} %`;
}

/** `4.2 kB`. */
export function bytes(size: number | null | undefined): string {
  if (size === null || size === undefined) return '–';
  if (size < 1_000) return `${size} B`;
  if (size < 1e6) return `${digits(size / 1e3, 1)} kB`;
  return size < 1e9 ? `${digits(size / 1e6, 1)} MB` : `${digits(size / 1e9, 1)} GB`;
}

/** A change against what was before, as a share: `+12 %`; null when there was nothing before. */
export function change(value: number, before: number): string | null {
  if (before === 0) return value === 0 ? '±0 %' : null;
  const share = (value - before) / Math.abs(before);
  if (Math.abs(share) < 0.0005) return '±0 %';
  const shown =
    Math.abs(share) >= 10
      ? `${digits(Math.abs(share) + 1, 0)}×`
      : `${digits(Math.abs(share) * 100, Math.abs(share) < 0.1 ? 1 : 0)} %`;
  return `${share < 0 ? '−' : '+'}${shown}`;
}

/** A change of a share, in points: `+0.7 pt`. A share of a share says nothing to anybody. */
export function points(value: number, before: number): string {
  const moved = (value - before) * 100;
  if (Math.abs(moved) < 0.005) return '±0';
  return `${moved < 0 ? '−' : '+'}${digits(Math.abs(moved), Math.abs(moved) < 1 ? 2 : 1)} pt`;
}

/** A change of a few things, which shares would exaggerate: `+5`. */
export function difference(value: number, before: number): string {
  if (value === before) return '±0';
  return `${value < before ? '−' : '+'}${compact(Math.abs(value - before))}`;
}

/** Begin of the day, in a zone, that a moment is in. */
export function startOfDay(at: number, zone: Zone): number {
  const shift = offset(at, zone);
  const start = Math.floor((at + shift) / DAY) * DAY - shift;
  // The day on which the clocks change has begun at another distance.
  return start + (shift - offset(start, zone));
}

/** `2026-11-25`, `2026-11-25 18:44` or with seconds, as typed in a zone; null when it is none. */
export function parseLocal(text: string, zone: Zone): number | null {
  const found = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text);
  if (!found) return null;
  const [year, month, day, hour, minute, second] = found.slice(1).map((part) => Number(part ?? 0));
  const utc = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second);
  if (new Date(utc).getUTCDate() !== day || (hour ?? 0) > 23 || (minute ?? 0) > 59 || (second ?? 0) > 59) return null;
  const guess = utc - offset(utc, zone);
  return utc - offset(guess, zone);
}

/** Milliseconds that a zone is ahead of UTC at a moment. */
function offset(at: number, zone: Zone): number {
  if (zone === 'utc') return 0;
  if (zone === 'local') return -new Date(at).getTimezoneOffset() * MINUTE;
  const p = parts(at, zone);
  const [year, month, day, hour, minute] = [p.year, p.month, p.day, p.hour, p.minute].map(Number);
  const there = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, Number(p.second));
  return there - Math.floor(at / 1_000) * 1_000;
}

function digits(value: number, most: number): string {
  return Number(value.toFixed(most)).toString();
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
