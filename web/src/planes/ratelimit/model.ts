import type { Answer } from '../../api/hooks.ts';
import type { Happening } from '../../live/source.ts';
import { millis } from '../../time/format.ts';

export type Access = Answer<'/rate-limits/blocks'>['items'][number];
export type Rule = Answer<'/rate-limits/rules'>[number];
export type Summary = Answer<'/rate-limit-summary'>;

export const KIND_NAMES: Record<string, string> = {
  ip: 'Address',
  user: 'User',
  api_key: 'API key',
  tenant: 'Tenant',
  custom: 'Custom',
};

/** What the panels ask again when limits, blocks or rules have changed. */
export const KEYS = [
  ['/rate-limit-summary'],
  ['/rate-limits/analytics'],
  ['/rate-limits/blocks'],
  ['/rate-limits/blocks/{block_id}'],
  ['/rate-limits/lists'],
  ['/rate-limits/rules'],
  ['/rate-limits/engine'],
];

export const concerns = (event: Happening): boolean =>
  event.plane === 'ratelimit' || event.kind.startsWith('rate_limit') || event.title.includes('rate_limit');

interface Spanned {
  since: string;
  until: string;
  bucket_seconds: number;
}

/** Begin of every step of a stretch of time, with its point where there is one: the API leaves out the empty ones. */
export function filled<P extends { at: string }>(answer: Spanned, points: readonly P[]): [number[], (P | undefined)[]] {
  const step = answer.bucket_seconds * 1_000;
  const known = new Map(points.map((point) => [millis(point.at), point]));
  const times: number[] = [];
  for (let at = Math.floor(millis(answer.since) / step) * step; at < millis(answer.until); at += step) times.push(at);
  return [times, times.map((at) => known.get(at))];
}

/** `ip:203.0.113.9` in its two parts. */
export function parted(label: string): [kind: string, identifier: string] {
  const at = label.indexOf(':');
  return at < 0 ? ['', label] : [label.slice(0, at), label.slice(at + 1)];
}
