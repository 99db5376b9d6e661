/** Where the focus goes when the row that had it is gone: to the one that took its place, and never out of the table. */
import { type FocusEvent, type RefObject, useEffect, useRef } from 'react';

/** How often it is looked at whether the focus is lost, milliseconds: a dialog that closes gives it back late. */
const LOOK = 60;

interface Kept {
  id: string;
  index: number;
}

/**
 * Follows the focus through the rows of a table.
 *
 * A row goes away while it has the focus, or while a dialog that was opened from it has: in both cases the browser would
 * begin at the top of the page again.
 *
 * @returns what hears of the focus within the table
 */
export function useKeptFocus(
  scroll: RefObject<HTMLElement | null>,
  rows: readonly { id: string }[],
): (event: FocusEvent) => void {
  const kept = useRef<Kept | null>(null);

  useEffect(() => {
    // Who has gone on to something else, by mouse, is not fetched back.
    function leave(event: PointerEvent): void {
      const target = event.target as Element;
      if (!scroll.current?.contains(target) && !target.closest?.('[role="dialog"]')) kept.current = null;
    }
    document.addEventListener('pointerdown', leave);
    return () => document.removeEventListener('pointerdown', leave);
  }, [scroll]);

  useEffect(() => {
    const last = kept.current;
    if (!last || rows.some((row) => row.id === last.id)) return;
    function look(): boolean {
      const has = document.activeElement;
      if (has?.closest('[role="dialog"]')) return false;
      kept.current = null;
      if (has === null || has === document.body) {
        const at = Math.min(last?.index ?? 0, rows.length - 1);
        const next = scroll.current?.querySelector<HTMLElement>(`[data-row="${at}"] a, [data-row="${at}"][tabindex]`);
        (next ?? scroll.current?.querySelector<HTMLElement>('button, a'))?.focus({ preventScroll: true });
      }
      return true;
    }
    const timer = window.setInterval(() => look() && window.clearInterval(timer), LOOK);
    return () => window.clearInterval(timer);
  }, [rows, scroll]);

  return (event) => {
    const at = event.target.closest<HTMLElement>('[data-row]')?.dataset.row;
    const id = at === undefined ? undefined : rows[Number(at)]?.id;
    kept.current = id === undefined ? null : { id, index: Number(at) };
  };
}
