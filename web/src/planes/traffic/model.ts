/** What the panels of this tab share. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Schemas } from '../../api/client.ts';
import { type Answer, useTimed } from '../../api/hooks.ts';
import { FILTERS, type Filters, figureQuery, type Order, type TrafficSearch } from './search.ts';

export type Analytics = Answer<'/api-analytics'>;
export type Call = Schemas['CallModel'];
export type Endpoint = Schemas['EndpointModel'];
export type ErrorGroup = Answer<'/api-errors/{id}'>;

/** Endpoints that are listed at most. */
const ENDPOINTS = 500;
/** Consumers of each kind: as many as are kept by name. */
const CONSUMERS = 100;

/** Classes of statuses by their first digit, in the order that they are listed in. */
export const CLASSES = [
  ['2', '2xx good'],
  ['3', '3xx redirects'],
  ['4', '4xx client errors'],
  ['5', '5xx server errors'],
  ['0', 'client left'],
] as const;

export function useTrafficSearch(): TrafficSearch {
  return useSearch({ strict: false }) as TrafficSearch;
}

export function useFilters(): Filters {
  const search = useTrafficSearch();
  // As text: the same filters are the same object, whatever else of the URL has changed.
  const written = JSON.stringify(Object.keys(FILTERS).map((name) => [name, search[name as keyof Filters]]));
  return useMemo(() => {
    const pairs: [string, string | null][] = JSON.parse(written);
    return Object.fromEntries(pairs.filter(([, value]) => value));
  }, [written]);
}

export function useFigureQuery() {
  const filters = useFilters();
  return useMemo(() => figureQuery(filters), [filters]);
}

/** The figures that the filters ask for. */
export function useAnalytics() {
  const { query } = useFigureQuery();
  return useTimed('/api-analytics', { ...query, endpoints: ENDPOINTS, consumers: CONSUMERS });
}

/** Endpoints that a ranking is searched for those of the filters. */
const RANKED = 200;

/** The first endpoints of a ranking, of those that the filters leave. */
export function useRanking(order_by: Order | 'error_rate', shown: number) {
  const { tenant, route, method } = useFilters();
  const limit = route || method ? RANKED : shown;
  const asked = useTimed('/slow-endpoints', { order_by, limit, ...(tenant ? { tenant } : {}) });
  const endpoints = useMemo(
    () =>
      (asked.data ?? [])
        .filter((one) => (!route || one.route === route) && (!method || one.method === method))
        .slice(0, shown),
    [asked.data, route, method, shown],
  );
  return { asked, endpoints };
}

/** A share of requests; null without any. */
export function share(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}

/** Time that all requests of an endpoint took together, milliseconds. */
export function spent(stats: Schemas['StatsModel']): number {
  return stats.mean_ms * stats.timed;
}
