import { type ReactNode, Suspense, useEffect, useState } from 'react';

interface Shown {
  opened: boolean;
  close: () => void;
}

/**
 * A dialog whose program is not there from the start: it is fetched when the page has nothing better to do, or when the
 * dialog is opened.
 *
 * `load` must stay the same function; `render` draws the dialog once it has been opened.
 */
export function useDialog(load: () => Promise<unknown>, render: (shown: Shown) => ReactNode) {
  const [opened, setOpened] = useState<boolean | null>(null);
  useEffect(() => {
    const waiting = whenIdle(() => void load().catch(() => undefined));
    return waiting;
  }, [load]);
  return {
    open: () => setOpened(true),
    dialog: opened !== null && <Suspense>{render({ opened, close: () => setOpened(false) })}</Suspense>,
  };
}

/** Call once the page has come to rest; returns what takes it back. */
function whenIdle(call: () => void): () => void {
  // Safari has no idle callbacks.
  if (!('requestIdleCallback' in window)) {
    const timer = setTimeout(call, 1_000);
    return () => clearTimeout(timer);
  }
  const handle = requestIdleCallback(call, { timeout: 3_000 });
  return () => cancelIdleCallback(handle);
}
