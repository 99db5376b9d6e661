/** What states are called in front of customers. */
import type { Tone } from '../ui/palette.ts';
import type { Delivery, Endpoint } from './api.ts';

interface Said {
  label: string;
  tone: Tone;
}

/** How an endpoint is, by what its row says. */
export function stateOf(endpoint: Endpoint): Said {
  if (endpoint.state === 'paused') return { label: 'Paused', tone: 'plain' };
  if (endpoint.state === 'disabled') return { label: 'Disabled', tone: 'bad' };
  const { last_success_at: good, last_failure_at: bad } = endpoint;
  if (!good && !bad) return { label: 'Ready', tone: 'info' };
  return bad && (!good || bad > good)
    ? { label: 'Last attempt failed', tone: 'warn' }
    : { label: 'Working', tone: 'good' };
}

const STATUSES: Record<Delivery['status'], Said> = {
  pending: { label: 'On its way', tone: 'info' },
  waiting: { label: 'Waiting its turn', tone: 'plain' },
  succeeded: { label: 'Delivered', tone: 'good' },
  failed: { label: 'Given up', tone: 'bad' },
  held: { label: 'Held', tone: 'warn' },
};

export function statusOf(delivery: Pick<Delivery, 'status' | 'attempts'>): Said {
  if (delivery.status === 'pending' && delivery.attempts > 0) return { label: 'Trying again', tone: 'warn' };
  return STATUSES[delivery.status];
}

/** Words of the server's judgement. */
export const CONDITIONS: Record<string, Said> = {
  healthy: { label: 'Healthy', tone: 'good' },
  degraded: { label: 'Degraded', tone: 'warn' },
  failing: { label: 'Failing', tone: 'bad' },
  paused: { label: 'Paused', tone: 'plain' },
  disabled: { label: 'Disabled', tone: 'bad' },
};
