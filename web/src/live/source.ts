/** What happens, as the server tells it (server-sent events): one connection for the whole page, closed when nobody looks. */
import { useEffect, useSyncExternalStore } from 'react';
import { doubt, useReach } from '../api/reach.ts';
import type { components } from '../api/schema.d.ts';
import { me, whileSignedOut } from '../api/session.ts';
import { boot } from '../boot.ts';

export type Happening = components['schemas']['HappeningModel'];
type Batch = components['schemas']['LiveModel'];
export type LiveStatus = 'closed' | 'connecting' | 'open';

/** Events kept for the stream of the overview. */
const KEPT = 400;

interface State {
  status: LiveStatus;
  /** Newest first. */
  events: readonly Happening[];
  /** Events that the server did not show, since the page was opened. */
  shed: number;
}

let state: State = { status: 'closed', events: [], shed: 0 };
let source: EventSource | null = null;
let readers = 0;
const listeners = new Set<() => void>();
const hearers = new Set<(events: readonly Happening[]) => void>();

function change(next: Partial<State>): void {
  state = { ...state, ...next };
  for (const listener of listeners) listener();
}

function open(): void {
  if (source) return;
  change({ status: 'connecting' });
  source = new EventSource(`${boot.root}/api/admin/enterprise/live`);
  source.onopen = () => change({ status: 'open' });
  source.addEventListener('happened', (event) => {
    const batch = JSON.parse((event as MessageEvent<string>).data) as Batch;
    const fresh = [...batch.events].reverse();
    change({ events: [...fresh, ...state.events].slice(0, KEPT), shed: state.shed + batch.shed });
    for (const hearer of hearers) hearer(batch.events);
  });
  source.addEventListener('ended', again);
  source.onerror = () => {
    if (source?.readyState === EventSource.CLOSED) again();
    else {
      change({ status: 'connecting' });
      // It may be the stream alone that has ended; on a page that asks once a minute nothing else would tell.
      void whileSignedOut().then(doubt);
    }
  };
}

/** The server refuses, most likely because the session has ended: ask who one is, which asks to sign in, then go on. */
function again(): void {
  close();
  if (readers === 0) return;
  change({ status: 'connecting' });
  setTimeout(() => {
    whileSignedOut()
      .then(() => me({ anew: true }))
      .then(
        () => readers > 0 && open(),
        () => again(),
      );
  }, 2_000);
}

function close(): void {
  source?.close();
  source = null;
  change({ status: 'closed' });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Be connected while `on`. */
export function useLiveConnection(on: boolean): void {
  useEffect(() => {
    if (!on) return;
    readers += 1;
    open();
    return () => {
      readers -= 1;
      if (readers === 0) close();
    };
  }, [on]);
}

/** Whether the page hears of what happens. A stream that is open says nothing for minutes after the network has gone. */
export function useLiveStatus(): LiveStatus {
  const { lost } = useReach();
  const status = useSyncExternalStore(subscribe, () => state.status);
  return lost && status === 'open' ? 'connecting' : status;
}

/** What has happened lately, newest first, and how much was not shown. */
export function useHappenings(): State {
  return useSyncExternalStore(subscribe, () => state);
}

/** Be told of events as they come; `hear` must stay the same function. */
export function useHear(hear: (events: readonly Happening[]) => void): void {
  useEffect(() => {
    hearers.add(hear);
    return () => {
      hearers.delete(hear);
    };
  }, [hear]);
}
