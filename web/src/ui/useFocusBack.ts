/** Where the focus goes when a dialog closes that another dialog has led to, which is gone by then. */
import { useEffect, useRef } from 'react';

/** Elements that are remembered: the way through a form, and whatever else had the focus in between. */
const KEPT = 40;

/**
 * Gives the focus back to what had it last before the dialog was opened and is still there: the button that opened the
 * form whose answer is shown.
 *
 * A dialog remembers by itself only what had the focus at the moment it was opened: a button of the form that goes away.
 */
export function useFocusBack(opened: boolean): void {
  const kept = useRef<HTMLElement[]>([]);
  const was = useRef(opened);

  useEffect(() => {
    if (opened) return;
    function note({ target }: FocusEvent): void {
      if (target instanceof HTMLElement)
        kept.current = [...kept.current.filter((one) => one !== target), target].slice(-KEPT);
    }
    document.addEventListener('focusin', note);
    return () => document.removeEventListener('focusin', note);
  }, [opened]);

  useEffect(() => {
    const closed = was.current && !opened;
    was.current = opened;
    if (closed) kept.current.findLast((one) => one.isConnected && one.checkVisibility())?.focus();
  }, [opened]);
}
