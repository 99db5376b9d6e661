/** Whether the server answers at all, and when it did last. While it does not, it is asked again by itself. */
import { useSyncExternalStore } from 'react';
import { boot } from '../boot.ts';

/** Waits before the first try and the next ones, milliseconds; the last goes on: who watches needs no more. */
const WAITS = [2_000, 4_000, 8_000, 15_000] as const;

/** Longest that a try may take, milliseconds. */
const PATIENCE = 10_000;

/** Statuses by which a proxy says that nobody is behind it; the server itself says so as a problem (RFC 9457). */
const GATEWAY = new Set([502, 503, 504]);

export interface Reach {
  /** Whether nothing has come back lately. */
  lost: boolean;
  /** When something came last, milliseconds since the epoch; 0 when nothing has yet. */
  heard: number;
  /** When it is tried again; in the past while that is under way. */
  next: number;
}

let state: Reach = { lost: false, heard: 0, next: 0 };
let tries = 0;
let timer: number | undefined;
const listeners = new Set<() => void>();

function change(to: Reach): void {
  state = to;
  for (const listener of listeners) listener();
}

function answered(): void {
  tries = 0;
  window.clearTimeout(timer);
  if (state.lost) change({ lost: false, heard: Date.now(), next: 0 });
  else state.heard = Date.now();
}

function missed(): void {
  // What fails while a try is waited for says nothing new.
  if (state.lost && state.next > Date.now()) return;
  const wait = WAITS[Math.min(tries, WAITS.length - 1)] ?? PATIENCE;
  tries += 1;
  window.clearTimeout(timer);
  timer = window.setTimeout(() => void tryNow(), wait);
  change({ ...state, lost: true, next: Date.now() + wait });
}

/** Note what becomes of a request to the server. */
export async function noted(call: Promise<Response>): Promise<Response> {
  try {
    const response = await call;
    const ofProxy = GATEWAY.has(response.status) && !response.headers.get('Content-Type')?.includes('json');
    if (ofProxy) missed();
    else answered();
    return response;
  } catch (error) {
    // By its name: one that was given up, as what was asked no longer matters, is none.
    if (error instanceof TypeError) missed();
    throw error;
  }
}

/** Try whether the server answers. */
export async function tryNow(): Promise<void> {
  window.clearTimeout(timer);
  if (state.lost) change({ ...state, next: 0 });
  try {
    await noted(
      fetch(`${boot.root}/api/admin/enterprise/me`, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) }),
    );
  } catch {
    missed();
  }
}

/** Something makes one doubt that the server answers: look, unless that is known. */
export async function doubt(): Promise<void> {
  if (!state.lost) await tryNow();
}

/** The network is said to be gone: what is asked right then may still get through, and the next may not. */
async function watch(): Promise<void> {
  for (const wait of WAITS) {
    await doubt();
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (navigator.onLine) return;
  }
}

// A stream that is open says nothing for minutes after the network has gone.
window.addEventListener('offline', () => void watch());
window.addEventListener('online', () => void (state.lost && tryNow()));

export function useReach(): Reach {
  return useSyncExternalStore(subscribe, () => state);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
