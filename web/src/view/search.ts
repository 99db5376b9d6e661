/** The state of a view is its URL: readable, copied whole, undone by Back. */
import { type Zone, zoneNamed } from '../time/format.ts';
import { DEFAULT_BOUNDS } from '../time/range.ts';

/** What every view has; absent means the default. */
export interface ViewSearch {
  /** Bounds of the time range: `now-6h`, or a moment. */
  from?: string;
  to?: string;
  /** `previous`: every chart and figure beside those of the stretch before. */
  compare?: 'previous';
  /** `off`: nothing moves by itself. */
  live?: 'off';
  /** The zone of all moments: `utc`, `Europe/Berlin`. Absent: the reader's own. */
  tz?: Zone;
  /** Order of the tables: `api-calls:-total_ms` sorts that one by that column, the most first. */
  sort?: string[];
}

export type Raw = Record<string, unknown>;

/** What lasts from tab to tab. */
export const LASTING = ['from', 'to', 'compare', 'live', 'tz', 'sort'] as const;

/** Of a view, what lasts. */
export function lasting(search: Raw): Raw {
  return Object.fromEntries(LASTING.map((name) => [name, search[name]]));
}

const ORDER = /^[\w-]{1,64}:-?\w{1,64}$/;

/** Tables whose order is kept at once. */
const ORDERS = 12;

const BOUND = /^(now[-\w/]{0,16}|\d{4}-\d\d-\d\dT[\d:.]{1,16}Z?)$/;

/**
 * Read what every view has; what cannot be read is said to be undefined, so that a mangled link still opens: the router
 * would take what is not mentioned as it stands in the link.
 */
export function viewSearch(raw: Raw): ViewSearch {
  const sort = texts(raw.sort)?.filter((one) => ORDER.test(one));
  return {
    from: bound(raw.from, DEFAULT_BOUNDS.from),
    to: bound(raw.to, DEFAULT_BOUNDS.to),
    compare: raw.compare === 'previous' ? 'previous' : undefined,
    live: raw.live === 'off' ? 'off' : undefined,
    tz: zoneNamed(text(raw.tz) ?? ''),
    sort: sort?.length ? sort.slice(-ORDERS) : undefined,
  };
}

function bound(value: unknown, usual: string): string | undefined {
  const found = text(value);
  return found && BOUND.test(found) && found !== usual ? found : undefined;
}

/** Column that a table is sorted by, by what the URL says. */
export function orderOf(sort: readonly string[] | undefined, table: string): { id: string; desc: boolean } | null {
  const found = sort?.find((one) => one.startsWith(`${table}:`))?.slice(table.length + 1);
  if (!found) return null;
  return found[0] === '-' ? { id: found.slice(1), desc: true } : { id: found, desc: false };
}

/** The order of all tables with that of one changed; null leaves its rows as they come. */
export function withOrder(
  sort: readonly string[] | undefined,
  table: string,
  order: { id: string; desc: boolean } | null,
): string[] | undefined {
  const others = (sort ?? []).filter((one) => !one.startsWith(`${table}:`));
  const all = order ? [...others, `${table}:${order.desc ? '-' : ''}${order.id}`] : others;
  return all.length > 0 ? all : undefined;
}

/** One value of a parameter; undefined when there is none. */
export function text(value: unknown): string | undefined {
  const one = Array.isArray(value) ? value[0] : value;
  return typeof one === 'string' && one !== '' ? one : undefined;
}

/** All values of a parameter that may be repeated; undefined when there is none. */
export function texts(value: unknown): string[] | undefined {
  const found = (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string' && one !== '');
  return found.length > 0 ? (found as string[]) : undefined;
}

/** Longest value that is told of in a few words. */
const TOLD = 60;

/** What a view is narrowed to, of the parameters that narrow it: `route /orders, status 5`; empty when it is all. */
export function narrowed(search: Raw, by: readonly string[]): string {
  return by
    .flatMap((name) => {
      const values = texts(search[name])?.join(' or ').slice(0, TOLD);
      return values ? `${name.replaceAll('_', ' ')} ${values}` : [];
    })
    .join(', ');
}

/** One of several words; undefined when it is none of them. */
export function oneOf<const T extends readonly string[]>(value: unknown, words: T): T[number] | undefined {
  const one = text(value);
  return words.includes(one ?? '') ? (one as T[number]) : undefined;
}

/** `?status=failed&status=dead` as plain text: no JSON in a link that people read. */
export function parseSearch(search: string): Raw {
  const found: Record<string, string | string[]> = {};
  for (const [name, value] of new URLSearchParams(search)) {
    const before = found[name];
    found[name] = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
  }
  return found;
}

export function stringifySearch(search: Raw): string {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') parts.append(name, String(one));
    }
  }
  // Colons and slashes may stand in a query as they are (RFC 3986 §3.4), and moments stay readable.
  const written = parts.toString().replaceAll('%3A', ':').replaceAll('%2F', '/');
  return written ? `?${written}` : '';
}
