import { useQueryClient } from '@tanstack/react-query';
import type { Answer } from '../../api/hooks.ts';
import type { Happening } from '../../live/source.ts';
import type { Tone } from '../../ui/palette.ts';

export type Endpoint = Answer<'/webhook-configurations'>['items'][number];
export type Delivery = Answer<'/webhook-deliveries'>['items'][number];
export type Attempt = Answer<'/webhook-deliveries/{id}'>['tries'][number];
export type Health = Answer<'/webhook-configurations/{id}/health'>;

/** What the panels ask again when endpoints or deliveries have changed. */
export const KEYS = [
  ['/webhook-configurations'],
  ['/webhook-configurations/{id}'],
  ['/webhook-configurations/{id}/health'],
  ['/webhook-deliveries'],
  ['/webhook-deliveries/{id}'],
  ['/webhook-delivery-analytics'],
];

export const concerns = (event: Happening): boolean =>
  event.plane === 'outbound' ||
  ['webhook_configuration', 'webhook_deliver'].some((name) => event.kind.includes(name) || event.title.includes(name));

/** Ask all of it again, after a change. */
export function useAskAgain(): () => void {
  const queries = useQueryClient();
  return () => {
    for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
  };
}

export const TONES: Record<string, Tone> = {
  enabled: 'good',
  paused: 'plain',
  disabled: 'bad',
  healthy: 'good',
  degraded: 'warn',
  failing: 'bad',
  pending: 'info',
  waiting: 'plain',
  succeeded: 'good',
  failed: 'bad',
  held: 'warn',
};

/** When something was last sent to it, whatever came of it. */
export function lastAttempt(endpoint: Endpoint): string | null {
  const moments = [endpoint.last_success_at, endpoint.last_failure_at].filter((at) => at !== null && at !== undefined);
  return moments.sort().at(-1) ?? null;
}
