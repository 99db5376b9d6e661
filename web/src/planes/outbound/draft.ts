/** An endpoint as it stands in the form, and as the API takes it. */
import type { components } from '../../api/schema.d.ts';
import type { Endpoint } from './model.ts';
import { differing, type Header, headersOf, keptHeaders, wordsOf } from './written.ts';

type New = components['schemas']['NewConfiguration'];
type Change = components['schemas']['ConfigurationChange'];

/** What each way of authentication takes, beside its name. */
export const CREDENTIALS: Record<string, readonly string[]> = {
  none: [],
  basic: ['username', 'password'],
  bearer: ['token'],
  oauth2: ['token_url', 'client_id', 'client_secret', 'scope', 'audience'],
  mtls: ['certificate', 'private_key'],
};

export interface Draft {
  url: string;
  description: string;
  types: string;
  match: string;
  channels: string;
  version: string;
  headers: Header[];
  auth: string;
  credentials: Record<string, string>;
  rate: number;
  concurrency: number;
  schedule: string;
  timeout: number;
  disableAfter: number;
  signature: string;
  ordered: boolean;
}

/** The waits of the Standard Webhooks specification, seconds. */
const SCHEDULE = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

export function draftOf(endpoint?: Endpoint): Draft {
  const options = endpoint?.options;
  return {
    url: endpoint?.url ?? '',
    description: endpoint?.description ?? '',
    types: (endpoint?.event_types ?? ['*']).join(', '),
    match: options?.match && Object.keys(options.match).length > 0 ? JSON.stringify(options.match, null, 2) : '',
    channels: (options?.channels ?? []).join(', '),
    version: options?.payload_version ?? '',
    headers: keptHeaders(Object.keys(options?.headers ?? {})),
    auth: options?.auth ?? 'none',
    credentials: {},
    rate: options?.rate ?? 0,
    concurrency: options?.concurrency ?? 10,
    schedule: (endpoint?.retry.schedule_seconds ?? SCHEDULE).join(', '),
    timeout: endpoint?.retry.timeout_seconds ?? 15,
    disableAfter: options?.disable_after_hours ?? 120,
    signature: options?.signature ?? 'v1',
    ordered: options?.ordered ?? false,
  };
}

export type Faults = Partial<Record<'match' | 'schedule', string>>;

/** What is wrong with a draft; the server checks all of it once more. */
export function faultsOf(draft: Draft): Faults {
  const faults: Faults = {};
  if (matchOf(draft.match) === null) faults.match = 'Not a JSON object, such as {"data.total": {"$gte": 100}}';
  if (wordsOf(draft.schedule).some((wait) => !(Number(wait) >= 1 && Number(wait) <= 86_400)))
    faults.schedule = 'Seconds from 1 to 86400, separated by commas';
  return faults;
}

/** The body of a request that makes an endpoint. */
export function bodyOf(draft: Draft): New {
  const given = Object.entries(draft.credentials).filter(([, value]) => value !== '');
  return {
    url: draft.url.trim(),
    description: draft.description,
    event_types: wordsOf(draft.types),
    retry: { schedule_seconds: wordsOf(draft.schedule).map(Number), timeout_seconds: draft.timeout },
    options: {
      match: matchOf(draft.match) ?? {},
      channels: wordsOf(draft.channels),
      payload_version: draft.version.trim(),
      headers: headersOf(draft.headers),
      auth: draft.auth as 'none',
      rate: draft.rate,
      concurrency: draft.concurrency,
      signature: draft.signature as 'v1',
      ordered: draft.ordered,
      disable_after_hours: draft.disableAfter,
    },
    ...(given.length > 0 ? { credentials: Object.fromEntries(given) } : {}),
  } as New;
}

/** The body of a request that changes an endpoint: what differs, so that what others change meanwhile stays. */
export function changeOf(before: Draft, after: Draft): Change {
  const { retry: retried, options: opted, ...was } = bodyOf(before);
  const { retry, options, ...is } = bodyOf(after);
  const parts = { retry: differing(retried ?? {}, retry ?? {}), options: differing(opted ?? {}, options ?? {}) };
  return { ...differing(was, is), ...differing({ retry: {}, options: {} }, parts) } as Change;
}

function matchOf(text: string): Record<string, unknown> | null {
  if (text.trim() === '') return {};
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === 'object' && read !== null && !Array.isArray(read) ? (read as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
