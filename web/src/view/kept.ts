/** Views that this browser kept, before the server did: none is added any more, and none is lost. */
import { boot } from '../boot.ts';

export interface KeptView {
  name: string;
  /** Path below the dashboard, with the query. */
  place: string;
}

const KEY = `custodes views of ${boot.base}`;

/** What is kept; what cannot be read is as if it were not there. */
export function keptHere(): KeptView[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter(isView) : [];
  } catch {
    return [];
  }
}

function isView(one: unknown): one is KeptView {
  const { name, place } = (one ?? {}) as Partial<KeptView>;
  return typeof name === 'string' && typeof place === 'string' && /^\/(?!\/)|^$|^\?/.test(place);
}

export function forgetHere(name: string): void {
  const left = keptHere().filter((one) => one.name !== name);
  if (left.length > 0) localStorage.setItem(KEY, JSON.stringify(left));
  else localStorage.removeItem(KEY);
}
