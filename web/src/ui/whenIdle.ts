/** Call once the page has come to rest; returns what takes it back. */
export function whenIdle(call: () => void): () => void {
  // Safari has no idle callbacks.
  if (!('requestIdleCallback' in window)) {
    const timer = setTimeout(call, 1_000);
    return () => clearTimeout(timer);
  }
  const handle = requestIdleCallback(call, { timeout: 3_000 });
  return () => cancelIdleCallback(handle);
}
