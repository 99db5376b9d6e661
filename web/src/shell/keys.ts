/** Single keys, off while one types; never those that a browser uses for itself. */
import { useEffect } from 'react';
import { useSetSearch, useView, useWiden } from '../view/view.ts';
import { useOpenings } from './opening.ts';
import type { Overlay } from './Shell.tsx';
import { TABS } from './tabs.ts';
import { useZones } from './zones.ts';

/** What the key sheet shows. */
export const KEYS: readonly { keys: string[]; does: string }[] = [
  { keys: ['Ctrl', 'K'], does: 'Find a page or an action' },
  ...TABS.map((tab) => ({ keys: [tab.key], does: tab.label })),
  { keys: ['T'], does: 'Choose the time range' },
  { keys: ['−'], does: 'Twice as much time' },
  { keys: ['C'], does: 'Compare with the period before' },
  { keys: ['L'], does: 'Live on or off' },
  { keys: ['Z'], does: 'The next time zone: yours, the tenant’s, UTC' },
  { keys: ['/'], does: 'Filter the table' },
  { keys: ['J'], does: 'Next row of a table (or ↓)' },
  { keys: ['K'], does: 'Row before (or ↑)' },
  { keys: ['Enter'], does: 'Open the row' },
  { keys: ['Esc'], does: 'Close what is open' },
  { keys: ['?'], does: 'This sheet' },
];

/** Where one types, letters are letters. */
function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches('input:not([type=checkbox]):not([type=radio]), textarea, select'))
  );
}

/** Goes to the first row of the first table; from there on the table itself hears the keys. */
function toRows(): void {
  document.querySelector<HTMLElement>('main [data-row] a, main [data-row][tabindex]')?.focus();
}

export function useKeys(open: (overlay: Overlay) => void): void {
  const view = useView();
  const set = useSetSearch();
  const widen = useWiden();
  const zones = useZones();
  const { open: openTab } = useOpenings();
  useEffect(() => {
    const actions: Record<string, () => void> = {
      '?': () => open('keys'),
      t: () => document.querySelector<HTMLElement>('[data-range]')?.click(),
      '-': widen,
      c: () => set({ compare: view.before ? undefined : 'previous' }),
      l: () => view.relative && set({ live: view.live ? 'off' : undefined }, { replace: true }),
      z: zones.next,
      j: toRows,
      k: toRows,
      '/': () => document.querySelector<HTMLInputElement>('[data-filter]')?.focus(),
    };
    function onKey(event: KeyboardEvent): void {
      if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        open('palette');
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (document.querySelector('[role=dialog]')) return;
      const tab = TABS.find((one) => one.key === event.key);
      const action = tab ? () => openTab(tab.to) : actions[event.key.toLowerCase()];
      if (action) {
        event.preventDefault();
        action();
      }
    }
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [view, set, widen, zones.next, openTab, open]);
}
