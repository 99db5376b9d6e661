/**
 * Views that somebody keeps under a name, in this browser: a view is its address, so a name for one is all there is to keep.
 *
 * For others, the link is copied.
 */
import { useSyncExternalStore } from 'react';
import { boot } from '../boot.ts';

export interface SavedView {
  name: string;
  /** Path below the dashboard, with the query. */
  place: string;
}

const KEY = `custodes views of ${boot.base}`;

/** Views that are kept at most, and how long a name may be. */
export const MOST = 30;
export const LONGEST_NAME = 60;

const listeners = new Set<() => void>();
let views = read();

/** What is kept; what cannot be read is as if it were not there. */
function read(): readonly SavedView[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter(isView).slice(0, MOST) : [];
  } catch {
    return [];
  }
}

function isView(one: unknown): one is SavedView {
  const { name, place } = (one ?? {}) as Partial<SavedView>;
  return typeof name === 'string' && typeof place === 'string' && /^\/(?!\/)|^$|^\?/.test(place);
}

function write(next: readonly SavedView[]): void {
  views = next;
  try {
    localStorage.setItem(KEY, JSON.stringify(next));
  } catch {
    // A browser that keeps nothing: they are there as long as the page is.
  }
  for (const listener of listeners) listener();
}

/** Keep the view that is shown; one of the same name gives way. */
export function saveView(name: string): void {
  const place = `${window.location.pathname.slice(boot.base.length)}${window.location.search}`;
  write([{ name, place }, ...views.filter((one) => one.name !== name)].slice(0, MOST));
}

export function forgetView(name: string): void {
  write(views.filter((one) => one.name !== name));
}

export function useSavedViews(): readonly SavedView[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => views,
  );
}
