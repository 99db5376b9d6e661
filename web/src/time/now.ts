/** The page's idea of now. It moves in steps, so that all panels look at the same stretch, and stands still on demand. */
import { useSyncExternalStore } from 'react';
import { opened } from '../boot.ts';

/** Milliseconds between two steps of a live page, by how much of the past is shown. */
function period(shown: number): number {
  if (shown <= 3_600_000) return 5_000;
  return shown <= 6 * 3_600_000 ? 15_000 : 60_000;
}

let now = opened;
let timer: number | undefined;
let shown = 3_600_000;
let running = true;
const pausedBy = new Set<string>();
const held = new Set<string>();
const listeners = new Set<() => void>();

function told(): void {
  for (const listener of listeners) listener();
}

function schedule(): void {
  window.clearTimeout(timer);
  if (!running || pausedBy.size > 0) return;
  timer = window.setTimeout(() => {
    // A hidden page asks for nothing; it catches up when it is looked at.
    if (document.visibilityState === 'visible') step();
    schedule();
  }, period(shown));
}

/** Move on to the present moment. */
export function step(): void {
  now = Date.now();
  told();
}

/** Say how much of the past the page shows and whether it is to move by itself. */
export function setPace(span: number, live: boolean): void {
  if (span === shown && live === running) return;
  shown = span;
  running = live;
  // A now that is younger than its pace is good enough: what a page asks first is not asked twice.
  if (live && Date.now() - now >= period(shown)) step();
  schedule();
}

/** Stand still while somebody looks closely; `by` tells the reasons apart. */
export function pause(by: string): void {
  if (pausedBy.has(by)) return;
  pausedBy.add(by);
  schedule();
  told();
}

/** Have everything stand still, also what is fetched because something has happened: what is asked would go with it. */
export function hold(by: string): void {
  held.add(by);
  pause(by);
}

export function release(by: string): void {
  held.delete(by);
  resume(by);
}

export function isHeld(): boolean {
  return held.size > 0;
}

export function resume(by: string): void {
  if (!pausedBy.delete(by)) return;
  if (pausedBy.size === 0 && running) step();
  schedule();
  told();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (listeners.size === 1) schedule();
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) window.clearTimeout(timer);
  };
}

/** Milliseconds since the epoch. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

/** Whether something has the page stand still. */
export function usePaused(): boolean {
  return useSyncExternalStore(subscribe, () => pausedBy.size > 0);
}
