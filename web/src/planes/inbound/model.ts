/** What the webhooks tab shows, by the names of the API. */
import type { Answer } from '../../api/hooks.ts';
import type { Happening } from '../../live/source.ts';
import { duration } from '../../time/format.ts';
import { asSaid } from '../../ui/asSaid.ts';
import type { Compared } from '../../ui/Comparison.tsx';

export type Event = Answer<'/webhook-events/{id}'>;
export type Attempt = Answer<'/webhook-events/{id}/attempts'>['items'][number];
/** One of the list: what it carries is told of one at a time, and each look is recorded. */
export type ListedRefusal = Answer<'/webhook-refusals'>['items'][number];
export type Analytics = Answer<'/webhook-analytics'>;
export type Source = Answer<'/webhook-sources'>['items'][number];

/** Whether something that happened changes what this tab shows. */
export const concerns = (event: Happening) => event.plane === 'inbound';

/** What a state means, for those who do not know our words. */
export const STATUS_LABELS: Record<string, string> = {
  received: 'received',
  processing: 'in work',
  succeeded: 'succeeded',
  failed: 'waits for retry',
  dead: 'given up',
};

/** How an attempt of a handler ended. */
export const OUTCOMES: Record<string, string> = {
  succeeded: 'succeeded',
  failed: 'failed',
  timed_out: 'took too long',
  permanent: 'failed for good',
};

/** Attempts at an event by number, oldest first, each with what every handler made of it. */
export function comparable(attempts: readonly Attempt[]): Compared[] {
  const found = new Map<string, { fields: Record<string, string>; failed: boolean }>();
  for (const { number, handler, outcome, duration_us, error_type, error } of attempts) {
    const id = String(number);
    const one = found.get(id) ?? { fields: {}, failed: false };
    const name = asSaid(handler);
    one.fields[`${name}: outcome`] = OUTCOMES[outcome] ?? outcome;
    if (error_type) one.fields[`${name}: error`] = `${error_type}: ${error}`;
    one.fields[`${name}: took`] = duration(duration_us / 1_000);
    found.set(id, { ...one, failed: one.failed || outcome !== 'succeeded' });
  }
  return [...found].map(([id, { fields, failed }]) => ({
    id,
    label: `Attempt ${id}, ${failed ? 'failed' : 'succeeded'}`,
    fields,
  }));
}

/** Why a delivery was refused, and what to do about it. */
const REASONS: Record<string, readonly [title: string, advice: string]> = {
  'no-match': [
    'No secret explains the signature',
    'The signing secret here is not the one of the sender, something on the way changed the body, or somebody forges it. Compare the secret with the one on the page of the sender.',
  ],
  'missing-signature': [
    'There is no signature',
    'The sender does not sign this endpoint, a proxy took the header away, or this is no delivery at all (a scan, a health check).',
  ],
  'malformed-header': [
    'The signature header cannot be read',
    'It is empty, too long, there twice, or not in the form of this sender. A proxy may have changed it.',
  ],
  'timestamp-too-old': [
    'A genuine signature, signed too long ago',
    'The delivery was held up on its way, or an old one is replayed. Have the sender deliver it again.',
  ],
  'timestamp-in-future': [
    'Signed in the future',
    'The clock of this machine or of the sender is wrong. Check NTP here first.',
  ],
  'malformed-body': ['The signed fields cannot be read', 'The body is not what this sender sends.'],
  'verifier-failed': ['The check itself failed', 'An error in the code of this source; the log of the server has it.'],
};

export function reasonTitle(reason: string): string {
  return REASONS[reason]?.[0] ?? reason.replaceAll(/[-_]/g, ' ');
}

export function reasonAdvice(reason: string): string {
  return REASONS[reason]?.[1] ?? 'It was refused before its signature was looked at.';
}
