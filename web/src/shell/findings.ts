/** What the palette offers for a text that names something: an id, an address, or words to look for. */

export interface Finding {
  id: string;
  label: string;
  to: string;
  search: Record<string, string>;
}

const TRACE = /^[0-9a-f]{32}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Ids as senders write them: `evt_1Q…`, `msg_2b…`. */
const SENT = /^[a-z]{2,12}_[\w-]{4,}$/i;

/** Nearly an address is good enough: the server says what is none. */
const ADDRESS = /^(\d{1,3}\.){3}\d{1,3}$|^[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*$/i;

/** Characters of a text from which on it is looked for. */
const LEAST = 3;

const calls = (filter: Record<string, string>) => ({ to: '/api', search: { part: 'calls', ...filter } });
const entries = (filter: Record<string, string>) => ({ to: '/audit', search: { tab: 'entries', ...filter } });
const events = (id: string) => ({ to: '/webhooks', search: { part: 'events', id } });

/** Things that a text names by its form: where to look for them, the likeliest first. */
export function named(typed: string): Finding[] {
  const text = typed.trim();
  const lower = text.toLowerCase();
  if (TRACE.test(lower))
    return [
      { id: 'trace', label: 'Calls of this trace', ...calls({ trace: lower }) },
      { id: 'trace-events', label: 'Webhooks of this trace', ...events(lower) },
    ];
  if (ADDRESS.test(text))
    return [
      { id: 'address', label: `Calls from ${text}`, ...calls({ client_ip: text }) },
      { id: 'address-entries', label: `Audit entries from ${text}`, ...entries({ ip: text }) },
      {
        id: 'address-blocks',
        label: 'Blocks of addresses',
        to: '/rate-limits',
        search: { view: 'blocks', kind: 'ip' },
      },
    ];
  if (UUID.test(lower) || SENT.test(text)) return [{ id: 'event', label: `Webhook ${text}`, ...events(text) }];
  return [];
}

/** Where words are looked for. */
export function worded(typed: string): Finding[] {
  const text = typed.trim();
  if (text.length < LEAST) return [];
  return [
    { id: 'text-calls', label: `Calls with “${text}”`, ...calls({ text }) },
    { id: 'text-entries', label: `Audit entries with “${text}”`, ...entries({ text }) },
  ];
}

/** Parts of the tabs and what is begun there, by the words that people use. */
export const PLACES: readonly Finding[] = [
  { id: 'events', label: 'Webhook events', to: '/webhooks', search: { part: 'events' } },
  { id: 'failed', label: 'Replay failed webhooks', to: '/webhooks', search: { part: 'events', status: 'dead' } },
  { id: 'refused', label: 'Refused webhooks', to: '/webhooks', search: { part: 'refused' } },
  { id: 'endpoints', label: 'Webhook endpoints', to: '/webhooks/endpoints', search: {} },
  { id: 'slow', label: 'Endpoints of the API', to: '/api', search: { part: 'endpoints' } },
  { id: 'consumers', label: 'Consumers of the API', to: '/api', search: { part: 'consumers' } },
  { id: 'errors', label: 'Errors of the API', to: '/api', search: { part: 'errors' } },
  { id: 'scans', label: 'Unmatched routes', to: '/api', search: { part: 'scans' } },
  { id: 'calls', label: 'API calls', to: '/api', search: { part: 'calls' } },
  { id: 'flags', label: 'Review flagged entries', to: '/audit', search: {} },
  { id: 'entries', label: 'Audit entries', to: '/audit', search: { tab: 'entries' } },
  { id: 'actors', label: 'Actors and users', to: '/audit', search: { tab: 'actors' } },
  { id: 'report', label: 'Compliance report', to: '/audit/report', search: {} },
  { id: 'blocks', label: 'Blocks: block or unblock somebody', to: '/rate-limits', search: { view: 'blocks' } },
  { id: 'lists', label: 'Allow and deny lists', to: '/rate-limits', search: { view: 'lists' } },
  { id: 'rules', label: 'Rate limit rules', to: '/rate-limits', search: { view: 'rules' } },
  { id: 'rule', label: 'New rule: try a rate limit', to: '/rate-limits', search: { view: 'editor' } },
  { id: 'metrics', label: 'Metrics of the app', to: '/metrics', search: {} },
  { id: 'users', label: 'Settings: users and roles', to: '/settings', search: {} },
  { id: 'keys-of-programs', label: 'Settings: API keys', to: '/settings/api-keys', search: {} },
  { id: 'alert-rules', label: 'Settings: alert rules', to: '/settings/alert-rules', search: {} },
  { id: 'notifications', label: 'Settings: notifications, silences', to: '/settings/notifications', search: {} },
];
