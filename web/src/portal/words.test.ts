import { expect, test } from 'vitest';
import type { Listed } from './api.ts';
import { stateOf, statusOf } from './words.ts';

const endpoint = (fields: object): Listed =>
  ({ condition: 'healthy', last_success_at: null, last_failure_at: null, ...fields }) as Listed;

const EARLIER = '2026-01-02T00:00:00Z';
const LATER = '2026-01-03T00:00:00Z';

test('an endpoint is what the server says of it, and what was tried last', () => {
  expect(stateOf(endpoint({})).label).toBe('Ready');
  expect(stateOf(endpoint({ last_success_at: EARLIER })).label).toBe('Working');
  const failed = { condition: 'degraded', last_success_at: EARLIER, last_failure_at: LATER };
  expect(stateOf(endpoint(failed)).label).toBe('Last attempt failed');
  expect(stateOf(endpoint({ condition: 'paused', last_failure_at: LATER })).label).toBe('Paused');
});

test('an endpoint that fails is not said to work because one attempt got through', () => {
  const once = { last_failure_at: EARLIER, last_success_at: LATER };
  expect(stateOf(endpoint({ condition: 'failing', ...once }))).toEqual({ label: 'Failing', tone: 'bad' });
  expect(stateOf(endpoint({ condition: 'degraded', ...once })).label).toBe('Degraded');
});

test('what was tried and is tried again says so', () => {
  expect(statusOf({ status: 'pending', attempts: 0 }).label).toBe('On its way');
  expect(statusOf({ status: 'pending', attempts: 2 }).label).toBe('Trying again');
});
