/** What percentiles of times say, in words that need no statistics. */

export const PERCENTILES = {
  p50: 'Half took at most this long, half took longer.',
  p95: '95 of 100 took at most this long, 5 took longer.',
  p99: '99 of 100 took at most this long, 1 took longer.',
  p99_9: '999 of 1,000 took at most this long, 1 took longer.',
} as const;
