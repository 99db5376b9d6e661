import { useQueryClient } from '@tanstack/react-query';
import type { Answer } from '../../api/hooks.ts';
import type { Happening } from '../../live/source.ts';
import { count, duration, length, millis } from '../../time/format.ts';
import type { Compared } from '../../ui/Comparison.tsx';
import type { Tone } from '../../ui/palette.ts';

export type Endpoint = Answer<'/webhook-configurations/{id}'>;
/** One of the list, with how it is by its circuit breaker. */
export type Listed = Answer<'/webhook-configurations'>['items'][number];
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

/** Whether it gets webhooks, and how that goes where it does not go well: `enabled, failing`. */
export function stateOf({ state, condition }: Listed): string {
  return state !== 'enabled' || condition === 'healthy' ? state : `${state}, ${condition}`;
}

/** Why, in a few words: when nothing is sent for now, when that is tried again. */
export function whyOf({ state, state_reason, failures, open_until }: Listed, now: number): string {
  if (state !== 'enabled') return state_reason || '–';
  if (failures === 0) return '–';
  const failed = failures === 1 ? 'the last attempt failed' : `${count(failures)} failed in a row`;
  return open_until ? `${failed}, next try in ${length(Math.max(0, millis(open_until) - now))}` : failed;
}

/** When something was last sent to it, whatever came of it. */
export function lastAttempt(endpoint: Endpoint): string | null {
  const moments = [endpoint.last_success_at, endpoint.last_failure_at].filter((at) => at !== null && at !== undefined);
  return moments.sort().at(-1) ?? null;
}

/** Attempts of a delivery, oldest first, each with what was sent, what was answered and where its time went. */
export function comparable(tries: readonly Attempt[]): Compared[] {
  return [...tries].reverse().map((attempt) => ({
    id: String(attempt.number),
    label: `Attempt ${attempt.number}, ${answer(attempt)}`,
    fields: {
      'Sent to': attempt.url,
      Answer: answer(attempt),
      Error: attempt.error,
      'Answer begins': attempt.excerpt,
      ...headers('Header', attempt.headers),
      ...headers('Answer header', attempt.answer_headers),
      Took: duration(attempt.total_ms),
      DNS: duration(attempt.dns_ms),
      Connect: duration(attempt.connect_ms),
      TLS: duration(attempt.tls_ms),
      'First byte': duration(attempt.first_byte_ms),
    },
  }));
}

function answer({ status }: Attempt): string {
  return status === null || status === undefined ? 'no answer' : `answered ${status}`;
}

/** A header may be sent more than once. */
function headers(what: string, of: Attempt['headers']): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, value } of of) {
    const key = `${what} ${name}`;
    found[key] = key in found ? `${found[key]}, ${value}` : value;
  }
  return found;
}
