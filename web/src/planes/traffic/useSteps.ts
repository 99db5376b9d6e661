import { useEffect, useRef } from 'react';
import { type Happening, useHear } from '../../live/source.ts';
import { step, usePaused } from '../../time/now.ts';
import { useView } from '../../view/view.ts';

/** Least time between two steps, milliseconds: what is new is on screen within two seconds. */
const CALM = 1_500;

/** Longest range that follows each request, milliseconds: on wider ones a request more is no pixel. */
const NEAR = 3_600_000;

/** Move the page on as soon as requests come in, while it is live and shows the last hour or less. */
export function useSteps(): void {
  const { live, span } = useView();
  const paused = usePaused();
  const on = useRef(false);
  on.current = live && !paused && span.to - span.from <= NEAR;
  const timer = useRef<number | undefined>(undefined);
  const hear = useRef((events: readonly Happening[]) => {
    if (!on.current || timer.current !== undefined || !events.some((event) => event.plane === 'traffic')) return;
    timer.current = window.setTimeout(() => {
      timer.current = undefined;
      if (on.current && document.visibilityState === 'visible') step();
    }, CALM);
  });
  useHear(hear.current);
  useEffect(() => () => window.clearTimeout(timer.current), []);
}
