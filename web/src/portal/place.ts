/** Where one is in the portal: the path and the query, and real links between them. */
import { type MouseEvent, useSyncExternalStore } from 'react';
import { boot } from './boot.ts';

export interface Place {
  /** The endpoint that is shown; empty: the list. */
  endpoint: string;
  /** The delivery whose attempts are shown. */
  delivery: string;
  /** Only deliveries in this state. */
  only: string;
}

const HERE: Place = { endpoint: '', delivery: '', only: '' };
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('popstate', listener);
  };
}

export function usePlace(): Place {
  const address = useSyncExternalStore(subscribe, () => window.location.pathname + window.location.search);
  const url = new URL(address, window.location.origin);
  const found = /\/endpoints\/([0-9a-f-]{36})$/.exec(url.pathname);
  return {
    endpoint: found?.[1] ?? '',
    delivery: url.searchParams.get('delivery') ?? '',
    only: url.searchParams.get('only') ?? '',
  };
}

export function addressOf(place: Partial<Place>): string {
  const { endpoint, delivery, only } = { ...HERE, ...place };
  const query = new URLSearchParams({ ...(only && { only }), ...(delivery && { delivery }) }).toString();
  return `${boot.base}/${endpoint && `endpoints/${endpoint}`}${query && `?${query}`}`;
}

export function go(place: Partial<Place>): void {
  window.history.pushState(null, '', addressOf(place));
  for (const listener of listeners) listener();
}

/** Properties of a link that stays in the page; a new tab is left to the browser. */
export function linkTo(place: Partial<Place>): { href: string; onClick: (event: MouseEvent) => void } {
  return {
    href: addressOf(place),
    onClick: (event) => {
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      go(place);
    },
  };
}
