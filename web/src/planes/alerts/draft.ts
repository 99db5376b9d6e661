/** An alert rule that is being written: in the URL, so that a link shows the same rule and what it would have done. */
import type { Schemas } from '../../api/client.ts';
import type { Answer } from '../../api/hooks.ts';
import { type Draft, FIELDS, type Field } from './search.ts';

export type { Draft } from './search.ts';

export type Rule = Answer<'/alert-rules'>['items'][number];
export type RuleBody = Schemas['RuleBody'];

export const AGGREGATIONS = [
  'avg',
  'last',
  'max',
  'min',
  'rate',
  'sum',
  'count',
  'count_rate',
  'p50',
  'p90',
  'p95',
  'p99',
] as const;

export const COMPARATORS = ['>', '>=', '<', '<='] as const;

/** What a rule has that says nothing else. */
export const USUAL = {
  as: 'avg',
  op: '>',
  severity: 'warning',
  window: '1m',
  hold: '1m',
  fine: '1m',
  remind: '4h',
  message: '{name}: {value} ({labels})',
} as const;

/** Parameters of the URL; what is as usual is left out. */
export function searchOf(draft: Draft): Record<Field, string | undefined> {
  const usual: Draft = USUAL;
  return Object.fromEntries(
    FIELDS.map((field) => [field, draft[field] === usual[field] ? undefined : draft[field] || undefined]),
  ) as Record<Field, string | undefined>;
}

/** A rule that is there, as one would write it. */
export function draftOfRule(rule: Rule): Draft {
  const number = (value: number | null | undefined) => (value === null || value === undefined ? undefined : `${value}`);
  return {
    name: rule.name,
    metric: rule.metric,
    as: rule.aggregation,
    op: rule.comparator,
    threshold: number(rule.threshold),
    clear: number(rule.clear),
    critical: number(rule.critical),
    severity: rule.severity,
    labels: Object.entries(rule.labels ?? {})
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
    by: (rule.by ?? []).join(', '),
    window: written(rule.window_seconds ?? 60),
    hold: written(rule.hold_seconds ?? 60),
    fine: written(rule.clear_hold_seconds ?? 60),
    remind: written(rule.remind_seconds ?? 14_400),
    message: rule.message,
    tenant: rule.tenant ?? undefined,
    off: rule.enabled ? undefined : 'yes',
  };
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Seconds of `90s`, `5m`, `4h`, `2d`, or of a plain number; null when it is none of these. */
export function secondsOf(span: string): number | null {
  const found = /^\s*(\d{1,6})\s*([smhd]?)\s*$/.exec(span);
  return found ? Number(found[1]) * (UNITS[found[2] || 's'] ?? 1) : null;
}

/** Seconds as one would write them. */
export function written(seconds: number): string {
  for (const unit of ['d', 'h', 'm'] as const) {
    const size = UNITS[unit] ?? 1;
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${seconds}s`;
}

/** Labels by their names, of lines `name: value`; null when a line is none, or a name stands twice. */
export function labelsOf(lines: string): Record<string, string> | null {
  const found: Record<string, string> = Object.create(null);
  for (const line of lines.split('\n')) {
    if (line.trim() === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).trim();
    if (colon < 1 || name === '' || name in found) return null;
    found[name] = line.slice(colon + 1).trim();
  }
  return { ...found };
}

export function namesOf(list: string | undefined): string[] {
  return (list ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

export type Faults = Partial<Record<Field, string>>;

const SPANS = { window: [10, 'At least 10s'], hold: [0, ''], fine: [0, ''], remind: [0, ''] } as const;

/** A week, seconds: the longest time that a rule may name. */
const WEEK = 604_800;

/** What is wrong with a draft; the server checks all of it once more. */
export function faultsOf(draft: Draft): Faults {
  const faults: Faults = {};
  if (draft.labels && !labelsOf(draft.labels)) faults.labels = 'One a line: region: eu';
  for (const field of ['threshold', 'clear', 'critical'] as const) {
    const value = draft[field];
    if (value !== undefined && value.trim() !== '' && !Number.isFinite(Number(value))) faults[field] = 'Not a number';
  }
  for (const [field, [least, says]] of Object.entries(SPANS) as ['window', readonly [number, string]][]) {
    const seconds = secondsOf(draft[field] ?? USUAL[field]);
    if (seconds === null || seconds > WEEK) faults[field] = '30s, 5m, 4h, up to 7d';
    else if (seconds < least) faults[field] = says;
  }
  const sign = (draft.op ?? USUAL.op).startsWith('<') ? -1 : 1;
  const threshold = numberOf(draft.threshold);
  const over = (value: number | null) => value !== null && threshold !== null && sign * (value - threshold) > 0;
  const under = (value: number | null) => value !== null && threshold !== null && sign * (value - threshold) < 0;
  if (over(numberOf(draft.clear))) faults.clear = 'On the wrong side of the threshold';
  if (under(numberOf(draft.critical))) faults.critical = 'On the wrong side of the threshold';
  return faults;
}

function numberOf(value: string | undefined): number | null {
  if (value === undefined || value.trim() === '') return null;
  const found = Number(value);
  return Number.isFinite(found) ? found : null;
}

/** Whether all is there that a rule needs. */
export function isWhole(draft: Draft): boolean {
  return Boolean(
    draft.name?.trim() &&
      draft.metric?.trim() &&
      numberOf(draft.threshold) !== null &&
      Object.keys(faultsOf(draft)).length === 0,
  );
}

/** What the API is sent for it. */
export function bodyOf(draft: Draft): RuleBody {
  const seconds = (field: 'window' | 'hold' | 'fine' | 'remind') =>
    secondsOf(draft[field] ?? USUAL[field]) ?? secondsOf(USUAL[field]) ?? 60;
  return {
    name: (draft.name ?? '').trim(),
    metric: (draft.metric ?? '').trim(),
    aggregation: draft.as ?? USUAL.as,
    comparator: (draft.op ?? USUAL.op) as RuleBody['comparator'],
    threshold: numberOf(draft.threshold) ?? 0,
    clear: numberOf(draft.clear),
    critical: numberOf(draft.critical),
    severity: (draft.severity ?? USUAL.severity) as RuleBody['severity'],
    labels: labelsOf(draft.labels ?? '') ?? {},
    by: namesOf(draft.by),
    window_seconds: seconds('window'),
    hold_seconds: seconds('hold'),
    clear_hold_seconds: seconds('fine'),
    remind_seconds: seconds('remind'),
    message: draft.message?.trim() || USUAL.message,
    enabled: draft.off !== 'yes',
    tenant: draft.tenant?.trim() || null,
  };
}

/** A rule that is there, as the API is sent it. */
export function bodyOfRule({ id: _, origin: __, no_data: ___, ...body }: Rule): RuleBody {
  return body;
}
