/** What the overview asks first: so few things that they can be asked before anything else of it is here. */
import type { GetPath, Params } from '../../api/hooks.ts';

type First = { [P in GetPath]: { path: P; query?: Partial<Params<P>>; timed?: true } }[GetPath];

export const ALERTS = { path: '/alerts', query: { state: 'firing', limit: 200 } } as const;
export const TO_REVIEW = { path: '/audit-logs', query: { review_state: 'open', limit: 50 } } as const;

/** Of these, how many are on the part of the page that is drawn first. */
export const FIRST_DRAWN = 2;

/** The most wanted first: a browser asks six things at a time. */
export const FIRST: readonly First[] = [
  { path: '/api-health', timed: true },
  { path: '/overview' },
  { path: '/webhook-analytics', timed: true },
  { path: '/rate-limit-summary', timed: true },
  { path: '/audit-summary', timed: true },
  ALERTS,
  TO_REVIEW,
  { path: '/health' },
];
