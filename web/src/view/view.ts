/** What every panel asks: which stretch of time, which zone, live or not; and how to change it. */
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import type { Detail, Zone } from '../time/format.ts';
import * as format from '../time/format.ts';
import { useNow } from '../time/now.ts';
import {
  absolute,
  asQuery,
  type Bounds,
  DEFAULT_BOUNDS,
  isRelative,
  lengthOf,
  previous,
  resolve,
  type Span,
  widened,
} from '../time/range.ts';
import type { ViewSearch } from './search.ts';

export interface View {
  /** Bounds as in the URL. */
  bounds: Bounds;
  /** What they mean now, milliseconds since the epoch. */
  span: Span;
  /** Query parameters `since` and `until` of the API for it. */
  when: { since: string; until: string };
  /** The stretch before, when it is compared with. */
  before: { since: string; until: string } | null;
  /** Whether the end moves with time. */
  relative: boolean;
  /** Whether the page moves by itself. */
  live: boolean;
  zone: Zone;
  now: number;
}

export function useView(): View {
  const search: ViewSearch = useSearch({ strict: false });
  const now = useNow();
  const { from = DEFAULT_BOUNDS.from, to = DEFAULT_BOUNDS.to, compare, live, tz } = search;
  return useMemo(() => {
    const bounds = { from, to };
    const zone: Zone = tz ?? 'local';
    const relative = isRelative(to);
    const span = resolve(bounds, now, zone);
    return {
      bounds,
      span,
      when: asQuery(span),
      before: compare === 'previous' ? asQuery(previous(span)) : null,
      relative,
      live: relative && live !== 'off',
      zone,
      now,
    };
  }, [from, to, compare, live, tz, now]);
}

/** Change parameters of the URL; undefined takes one out. Back undoes it unless `replace`. */
export function useSetSearch(): (change: Record<string, unknown>, options?: { replace?: boolean }) => void {
  const navigate = useNavigate();
  return useCallback(
    (change, options) => {
      void navigate({
        to: '.',
        search: ((before: Record<string, unknown>) => ({ ...before, ...change })) as never,
        replace: options?.replace ?? false,
        resetScroll: false,
      });
    },
    [navigate],
  );
}

/** Choose a stretch of time. */
export function useSetRange(): (bounds: Bounds) => void {
  const set = useSetSearch();
  return useCallback((bounds) => set({ from: bounds.from, to: bounds.to }), [set]);
}

/** Zoom into what was dragged over on a chart; every panel follows. */
export function useZoom(): (span: Span) => void {
  const set = useSetRange();
  return useCallback((span) => set(absolute(span)), [set]);
}

/** Look at twice as much time; one that ends now goes on to. */
export function useWiden(): () => void {
  const { span, now, bounds } = useView();
  const set = useSetRange();
  return useCallback(() => {
    const wide = widened(span, now);
    set(isRelative(bounds.from) && bounds.to === 'now' ? backFromNow(2 * lengthOf(span)) : absolute(wide));
  }, [span, now, bounds, set]);
}

function backFromNow(span: number): Bounds {
  const minutes = Math.round(span / 60_000);
  return { from: minutes >= 1 ? `now-${minutes}m` : `now-${Math.round(span / 1_000)}s`, to: 'now' };
}

/** Write moments in the reader's zone. */
export function useMoment(): (when: string | number, detail?: Detail) => string {
  const { zone } = useView();
  return useCallback((when, detail) => format.moment(when, zone, detail), [zone]);
}
