/** What this tab keeps in the URL. */
import { oneOf, type Raw, text } from '../../view/search.ts';

export const PARTS = [
  { id: 'performance', label: 'Performance' },
  { id: 'endpoints', label: 'Endpoints' },
  { id: 'consumers', label: 'Consumers' },
  { id: 'errors', label: 'Errors' },
  { id: 'scans', label: 'Unmatched routes' },
  { id: 'calls', label: 'Calls' },
] as const;

const PART_IDS = PARTS.map((part) => part.id);
export const MEASURES = ['total', 'ttfb', 'background'] as const;
export const ORDERS = ['p95', 'p99', 'time', 'mean', 'max'] as const;
export const STATES = ['open', 'resolved'] as const;

export type Part = (typeof PARTS)[number]['id'];
export type Measure = (typeof MEASURES)[number];
export type Order = (typeof ORDERS)[number];

/** Filters that combine; absent ones do not narrow. */
export interface Filters {
  text?: string;
  route?: string;
  method?: string;
  /** A status, or its first digit. */
  status?: string;
  /** At least this long, milliseconds. */
  min_ms?: string;
  user?: string;
  api_key?: string;
  client_ip?: string;
  tenant?: string;
  trace?: string;
  error_group?: string;
}

export interface TrafficSearch extends Filters {
  part?: Part;
  measure?: Measure;
  /** What slow endpoints are ranked by. */
  order?: Order;
  /** Which error groups. */
  state?: (typeof STATES)[number];
  /** The call or error group that is open. */
  open?: string;
}

export const FILTERS: Readonly<Record<keyof Filters, string>> = {
  text: 'Text',
  route: 'Route',
  method: 'Method',
  status: 'Status',
  min_ms: 'At least ms',
  user: 'User',
  api_key: 'API key',
  client_ip: 'Address',
  tenant: 'Tenant',
  trace: 'Trace',
  error_group: 'Error group',
};

export function trafficSearch(raw: Raw): TrafficSearch {
  const filters = Object.fromEntries(
    Object.keys(FILTERS).map((name) => [name, text(raw[name])?.slice(0, 256)]),
  ) as Filters;
  // Undefined, not left out: the router would take what is not mentioned as it stands in the link.
  if (filters.status && !/^([1-5]|0|[1-5]\d\d)$/.test(filters.status)) filters.status = undefined;
  if (filters.min_ms && !/^\d{1,9}$/.test(filters.min_ms)) filters.min_ms = undefined;
  return {
    ...filters,
    part: oneOf(raw.part, PART_IDS),
    measure: oneOf(raw.measure, MEASURES),
    order: oneOf(raw.order, ORDERS),
    state: oneOf(raw.state, STATES),
    open: text(raw.open),
  };
}

/** Parameters of the API that the filters of single calls mean. */
export function callQuery({ trace, status, min_ms, ...same }: Filters) {
  return {
    ...same,
    ...(trace ? { trace_id: trace } : {}),
    ...(status ? { status: Number(status) } : {}),
    ...(min_ms ? { min_ms: Number(min_ms) } : {}),
  };
}

/**
 * Parameters of the API that the filters of figures mean, and what of the filters they cannot say: figures are kept by
 * endpoint and by consumer, not by both at once; the rest narrows single calls only.
 */
export function figureQuery(filters: Filters) {
  const { tenant, route, method, user, api_key, client_ip } = filters;
  const endpoint = { ...(route ? { route } : {}), ...(method ? { method } : {}) };
  const narrowed = route !== undefined || method !== undefined;
  const consumer = narrowed
    ? {}
    : user
      ? { user }
      : api_key
        ? { api_key }
        : client_ip
          ? { client_ip }
          : ({} as { user?: string; api_key?: string; client_ip?: string });
  const query = { ...(tenant ? { tenant } : {}), ...endpoint, ...consumer };
  const beside = (Object.keys(FILTERS) as (keyof Filters)[]).filter(
    (name) => filters[name] !== undefined && !(name in query),
  );
  return { query, consumer: Object.keys(consumer).length > 0, beside };
}
