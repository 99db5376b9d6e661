import { startTransition, useEffect, useState } from 'react';

/** Whether anything was painted since the page was loaded. */
let painted = false;

/** Longest that what comes later is held back, milliseconds: an answer that is late holds up nothing else. */
const PATIENCE = 600;

/**
 * Whether what is known first has been painted, so that the rest may follow: soon after `first`, or after a moment.
 *
 * Where it is known from the start, as when one comes back to a page, there is nothing to wait for.
 */
export function useAfterPaint(first: boolean): boolean {
  const [later, setLater] = useState(first && painted);
  useEffect(() => {
    const go = () => startTransition(() => setLater(true));
    painted = true;
    if (later) return;
    let timer: number | undefined;
    if (!first) {
      timer = window.setTimeout(go, PATIENCE);
      return () => window.clearTimeout(timer);
    }
    const frame = requestAnimationFrame(() => {
      timer = window.setTimeout(go);
    });
    return () => {
      cancelAnimationFrame(frame);
      window.clearTimeout(timer);
    };
  }, [first, later]);
  return later;
}
