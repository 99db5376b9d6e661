import type { Schemas } from '../../api/client.ts';
import type { Happening } from '../../live/source.ts';
import { millis } from '../../time/format.ts';
import type { Tone } from '../../ui/palette.ts';
import { type Rule, written } from './draft.ts';

export type Incident = Schemas['IncidentModel'];

/** What the panels ask again when a rule, an alert or a place that alerts go to has changed. */
export const KEYS = [
  ['/alert-rules'],
  ['/alert-rules/{rule_id}'],
  ['/alerts'],
  ['/alerts/{id}'],
  ['/alert-sinks'],
] as const;

export const concerns = (event: Happening): boolean =>
  event.plane === 'alerts' ||
  event.plane === 'health' ||
  event.kind.startsWith('alert') ||
  event.title.includes('alert');

/** `p95 of order.value {region: eu} > 100`. */
export function conditionOf(
  rule: Pick<Rule, 'aggregation' | 'metric' | 'labels' | 'comparator' | 'threshold'>,
): string {
  const labels = Object.entries(rule.labels ?? {}).map(([name, value]) => `${name}: ${value}`);
  const figure = labels.length > 0 ? `${rule.metric} {${labels.join(', ')}}` : rule.metric;
  return `${rule.aggregation ?? 'avg'} of ${figure} ${rule.comparator} ${rule.threshold}`;
}

/** How long it must be so. */
export const holdOf = (rule: Rule): string => written(rule.hold_seconds ?? 60);

export const ORIGINS: Record<Rule['origin'], string> = { 'built-in': 'built in', code: 'code', stored: 'dashboard' };

/** Whether nobody is told of an alert at present. */
export const isSilenced = (one: Pick<Incident, 'state' | 'silenced_until'>, now: number): boolean =>
  one.state !== 'resolved' && one.silenced_until !== null && millis(one.silenced_until) > now;

/** An alert as people speak of it: silenced while nobody is told, whatever else it does. */
export function conditionNow(one: Incident, now: number): { label: string; tone: Tone } {
  if (isSilenced(one, now)) return { label: 'silenced', tone: 'plain' };
  if (one.state === 'resolved') return { label: 'over', tone: 'good' };
  if (one.state === 'pending') return { label: 'pending', tone: 'plain' };
  return one.acknowledged_by ? { label: 'acknowledged', tone: 'info' } : { label: 'firing', tone: 'bad' };
}
