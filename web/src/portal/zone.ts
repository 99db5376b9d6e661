/** The zone of all moments of the portal: the tenant's where it has one, else the reader's own; a choice is kept. */
import { useSyncExternalStore } from 'react';
import { type Detail, moment, type Zone, zoneName, zoneNamed } from '../time/format.ts';

const KEY = 'custodes-portal-zone';

let chosen: Zone | null = read();
let ofTenant: Zone | undefined;
const listeners = new Set<() => void>();

/** Storage may be forbidden, and what is in it may be anybody's. */
function read(): Zone | null {
  try {
    const kept = window.localStorage.getItem(KEY) ?? '';
    return kept === 'local' ? kept : (zoneNamed(kept) ?? null);
  } catch {
    return null;
  }
}

function told(): void {
  for (const listener of listeners) listener();
}

/** Say which zone the tenant has, by its name; empty: none. */
export function setTenantZone(name: string): void {
  const zone = zoneNamed(name);
  if (zone === ofTenant) return;
  ofTenant = zone;
  told();
}

export function chooseZone(zone: Zone): void {
  chosen = zone;
  try {
    window.localStorage.setItem(KEY, zone);
  } catch {
    // It holds until the page is left.
  }
  told();
}

/** What there is to choose, each zone once. */
export function zoneChoices(): { zone: Zone; name: string }[] {
  const found: { zone: Zone; name: string }[] = [{ zone: 'local', name: `${zoneName('local')} (yours)` }];
  if (ofTenant && ofTenant !== 'utc') found.unshift({ zone: ofTenant, name: zoneName(ofTenant) });
  found.push({ zone: 'utc', name: 'UTC' });
  return found;
}

function current(): Zone {
  const offered = zoneChoices().map(({ zone }) => zone);
  return chosen !== null && offered.includes(chosen) ? chosen : (ofTenant ?? 'local');
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useZone(): Zone {
  return useSyncExternalStore(subscribe, current);
}

/** Writes moments in the zone of the page. */
export function useMoment(): (when: string | number, detail?: Detail) => string {
  const zone = useZone();
  return (when, detail) => moment(when, zone, detail);
}
