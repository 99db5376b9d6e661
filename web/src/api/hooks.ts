/**
 * How a panel asks: typed by the OpenAPI document, anew whenever the page's now moves.
 *
 * The key of a query holds the bounds as they are in the URL, not the moments they mean now: so what was answered last
 * stays on screen while the next answer is on its way, and when that fails.
 */
import { hashKey, queryOptions, type UseQueryResult, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useMemo, useRef } from 'react';
import { asQuery, previous } from '../time/range.ts';
import { useView, type View } from '../view/view.ts';
import { beside } from './beside.ts';
import { api } from './client.ts';
import type { paths } from './schema.d.ts';

type Prefix = '/api/admin/enterprise';
const PREFIX: Prefix = '/api/admin/enterprise';

/** Paths of the API that can be read, below its prefix: `/api-health`. */
export type GetPath = {
  [P in keyof paths]: P extends `${Prefix}${infer Rest}` ? (paths[P] extends { get: object } ? Rest : never) : never;
}[keyof paths];

type Get<P extends GetPath> = paths[`${Prefix}${P}` & keyof paths] extends { get: infer G } ? G : never;

/** What a path answers. */
export type Answer<P extends GetPath> =
  Get<P> extends { responses: { 200: { content: { 'application/json': infer A } } } } ? A : never;

/** Query parameters that a path takes. */
export type Params<P extends GetPath> =
  Get<P> extends { parameters: { query?: infer Q } } ? Exclude<Q, undefined> : never;

type Places<P extends GetPath> = Get<P> extends { parameters: { path: infer W } } ? W : undefined;

/** Read once; throws the server's problem. */
export async function get<P extends GetPath>(
  path: P,
  query?: Partial<Params<P>>,
  options: { path?: Places<P>; signal?: AbortSignal } = {},
): Promise<Answer<P>> {
  const init = { params: { query, path: options.path }, signal: options.signal };
  return sent<Answer<P>>((api.GET as Caller)(`${PREFIX}${path}`, init));
}

type Caller = (path: string, init: object) => Promise<Sent>;
type Sent = { data?: unknown; error?: unknown; response: Response };

/** The answer of a request; throws the server's problem: `await sent(api.POST(…))`. */
export async function sent<T>(call: Promise<{ data?: T | unknown; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw error ?? { title: response.statusText, status: response.status };
  return data as T;
}

type Asked = Pick<View, 'bounds' | 'zone' | 'when' | 'span' | 'before'>;

function whenOf(path: GetPath, view: Asked, which: 'now' | 'before') {
  if (which === 'now') return { ...view.when, ...beside(path, view.before?.since) };
  return { ...asQuery(previous(view.span)), ...beside(path, view.when.since) };
}

/** A question about a stretch of time, as it is kept. */
export function timed<P extends GetPath>(
  path: P,
  query: Partial<Params<P>>,
  view: Asked,
  which: 'now' | 'before' = 'now',
) {
  const compared = which === 'now' && beside(path, view.before?.since).beside !== undefined;
  return queryOptions({
    queryKey: [path, query, view.bounds, view.zone, compared ? 'compared' : which],
    queryFn: ({ signal }) => get(path, { ...query, ...whenOf(path, view, which) } as Partial<Params<P>>, { signal }),
  });
}

/** A question that does not depend on the time range, as it is kept. */
export function plain<P extends GetPath>(path: P, query?: Partial<Params<P>>, places?: Places<P>) {
  return queryOptions({
    queryKey: [path, query, places],
    queryFn: ({ signal }) => get(path, query, { signal, ...(places ? { path: places } : {}) }),
  });
}

interface Timed {
  /** `before`: the stretch of the same length before. */
  which?: 'now' | 'before';
  enabled?: boolean;
}

/** Ask about the stretch of time that the page looks at; asked again as time goes on. */
export function useTimed<P extends GetPath>(
  path: P,
  query: Partial<Params<P>> = {},
  { which = 'now', enabled = true }: Timed = {},
): UseQueryResult<Answer<P>> {
  const view = useView();
  const asked = timed(path, query, view, which);
  const question = hashKey(asked.queryKey.slice(0, -1));
  const result = useQuery({
    ...asked,
    enabled,
    // Whoever begins to compare goes on seeing what is there, until it is here in the steps of both.
    placeholderData: (last, before) =>
      before && hashKey(before.queryKey.slice(0, -1)) === question ? last : undefined,
  });
  useAsTimeGoesOn(view.now, result.refetch, enabled);
  return result as UseQueryResult<Answer<P>>;
}

interface Plain<P extends GetPath> {
  path?: Places<P>;
  enabled?: boolean;
  /** Asked again as time goes on. */
  fresh?: boolean;
}

/** Ask something that does not depend on the time range. */
export function useGet<P extends GetPath>(
  path: P,
  query?: Partial<Params<P>>,
  { path: places, enabled = true, fresh = false }: Plain<P> = {},
): UseQueryResult<Answer<P>> {
  const { now } = useView();
  const result = useQuery({ ...plain(path, query, places), enabled });
  useAsTimeGoesOn(now, result.refetch, enabled && fresh);
  return result as UseQueryResult<Answer<P>>;
}

type RowOf<P extends GetPath> = Answer<P> extends { items: (infer R)[] } ? R : never;

/** Rows of a list with cursors, page after page. `timed`: those of the stretch that the page looks at. */
export function useRows<P extends GetPath>(path: P, query: Partial<Params<P>> = {}, { timed = true } = {}) {
  const view = useView();
  const when = timed ? view.when : {};
  const asked = useInfiniteQuery({
    queryKey: [path, 'rows', query, timed ? view.bounds : null],
    queryFn: ({ pageParam, signal }) =>
      get(path, { limit: 200, ...query, ...when, cursor: pageParam ?? undefined } as never, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page as { next_cursor?: string | null }).next_cursor ?? null,
  });
  const many = (asked.data?.pages.length ?? 0) > 1;
  useAsTimeGoesOn(view.now, asked.refetch, !many);
  const { fetchNextPage, isFetching } = asked;
  const loadMore = useCallback(() => {
    if (!isFetching) void fetchNextPage();
  }, [fetchNextPage, isFetching]);
  const { data } = asked;
  // The same rows as long as nothing was answered: a table of a hundred thousand is not made anew for nothing.
  const rows = useMemo(
    () => (data?.pages.flatMap((page) => (page as { items: unknown[] }).items) ?? []) as RowOf<P>[],
    [data],
  );
  return { rows, hasMore: asked.hasNextPage, loadMore, asked };
}

function useAsTimeGoesOn(now: number, refetch: (options: { cancelRefetch: boolean }) => unknown, on: boolean): void {
  const last = useRef(now);
  useEffect(() => {
    if (last.current === now) return;
    last.current = now;
    if (on) void refetch({ cancelRefetch: false });
  }, [now, on, refetch]);
}
