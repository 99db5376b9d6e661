import { type ReactNode, Suspense, useEffect, useState } from 'react';
import { whenIdle } from './whenIdle.ts';

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
