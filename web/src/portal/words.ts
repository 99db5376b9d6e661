/** What states are called in front of customers. */
import type { Tone } from '../ui/palette.ts';
import type { Delivery, Listed } from './api.ts';

interface Said {
  label: string;
  tone: Tone;
}

/** Words of the server's judgement. */
export const CONDITIONS: Record<string, Said> = {
  healthy: { label: 'Healthy', tone: 'good' },
  degraded: { label: 'Degraded', tone: 'warn' },
  failing: { label: 'Failing', tone: 'bad' },
  paused: { label: 'Paused', tone: 'plain' },
  disabled: { label: 'Disabled', tone: 'bad' },
};

/** How an endpoint is: as the server judges it; what was tried last is said where that is more. */
export function stateOf({ condition, last_success_at: good, last_failure_at: bad }: Listed): Said {
  if (condition === 'healthy')
    return good || bad ? { label: 'Working', tone: 'good' } : { label: 'Ready', tone: 'info' };
  if (condition === 'degraded' && bad && (!good || bad > good)) return { label: 'Last attempt failed', tone: 'warn' };
  return CONDITIONS[condition] ?? { label: condition, tone: 'plain' };
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
