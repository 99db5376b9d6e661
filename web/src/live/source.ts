/** What happens, as the server tells it (server-sent events): one connection for the whole page. */
import { useSyncExternalStore } from 'react';

export type LiveStatus = 'closed' | 'connecting' | 'open';

const status: LiveStatus = 'closed';
const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether the page hears of what happens. */
export function useLiveStatus(): LiveStatus {
  return useSyncExternalStore(subscribe, () => status);
}
