import { type QueryKey, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { isHeld } from '../time/now.ts';
import { useView } from '../view/view.ts';
import { type Happening, useHear } from './source.ts';

/** Least time between two fetches that events ask for, milliseconds. */
const CALM = 1_000;

/**
 * Fetch queries anew when something happens that changes their answer, at most once a second.
 *
 * `concerns` and `keys` must stay the same (module constants).
 */
export function useFresh(keys: readonly QueryKey[], concerns: (event: Happening) => boolean): void {
  const queries = useQueryClient();
  const { live } = useView();
  const timer = useRef<number | undefined>(undefined);
  const state = useRef({ live, keys, concerns });
  state.current = { live, keys, concerns };
  function fetch(): void {
    timer.current = isHeld() ? window.setTimeout(fetch, CALM) : undefined;
    if (timer.current !== undefined) return;
    for (const queryKey of state.current.keys) void queries.invalidateQueries({ queryKey });
  }
  const hear = useRef((events: readonly Happening[]) => {
    if (!state.current.live || timer.current !== undefined || !events.some(state.current.concerns)) return;
    timer.current = window.setTimeout(fetch, CALM);
  });
  useHear(hear.current);
  useEffect(() => () => window.clearTimeout(timer.current), []);
}
