import type { Schemas } from '../../api/client.ts';
import type { Answer } from '../../api/hooks.ts';
import type { Happening } from '../../live/source.ts';
import { duration, percent } from '../../time/format.ts';

export type Access = Answer<'/rate-limits/blocks'>['items'][number];
export type Rule = Answer<'/rate-limits/rules'>[number];
export type Summary = Answer<'/rate-limit-summary'>;

/** Of what a rule for all tenants admits by address, no tenant has a figure of its own. */
export const UNTOLD = 'not counted by tenant';

export const KIND_NAMES: Record<string, string> = {
  ip: 'Address',
  user: 'User',
  api_key: 'API key',
  tenant: 'Tenant',
  custom: 'Custom',
};

/** Parameter of the list of calls that narrows it to those of somebody, by kind, or of an endpoint. */
export const CALLS_BY: Readonly<Record<string, string>> = {
  ip: 'client_ip',
  user: 'user',
  api_key: 'api_key',
  endpoint: 'route',
};

/** What the panels ask again when limits, blocks or rules have changed. */
export const KEYS = [
  ['/rate-limit-summary'],
  ['/rate-limits/analytics'],
  ['/rate-limits/usage'],
  ['/rate-limits/windows'],
  ['/rate-limits/blocks/{block_id}/refusals'],
  ['/rate-limits/blocks'],
  ['/rate-limits/blocks/{block_id}'],
  ['/rate-limits/lists'],
  ['/rate-limits/rules'],
  ['/rate-limits/engine'],
];

export const concerns = (event: Happening): boolean =>
  event.plane === 'ratelimit' || event.kind.startsWith('rate_limit') || event.title.includes('rate_limit');

/** `ip:203.0.113.9` in its two parts. */
export function parted(label: string): [kind: string, identifier: string] {
  const at = label.indexOf(':');
  return at < 0 ? ['', label] : [label.slice(0, at), label.slice(at + 1)];
}

type Limit = Pick<Schemas['LimitModel'], 'worst_case_factor' | 'lateness_seconds'>;

/** How much more than the limit may pass in a stretch of its length, wherever the stretch begins. */
export function most({ worst_case_factor: factor }: Limit): string {
  return factor > 1
    ? `up to ${percent(factor - 1)} more than the limit can pass in a stretch of its length`
    : 'never more than the limit passes in a stretch of its length';
}

/** When what was used counts as free again. */
export function back({ lateness_seconds: late }: Limit): string {
  return late > 0 ? `up to ${duration(late * 1_000)} late` : 'as soon as it is due';
}
