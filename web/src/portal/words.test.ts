import { expect, test } from 'vitest';
import type { Endpoint } from './api.ts';
import { stateOf, statusOf } from './words.ts';

const endpoint = (fields: object): Endpoint =>
  ({ state: 'enabled', last_success_at: null, last_failure_at: null, ...fields }) as Endpoint;

test('an endpoint is what its last attempt says, unless somebody stopped it', () => {
  expect(stateOf(endpoint({})).label).toBe('Ready');
  expect(stateOf(endpoint({ last_success_at: '2026-01-02T00:00:00Z' })).label).toBe('Working');
  expect(
    stateOf(endpoint({ last_success_at: '2026-01-02T00:00:00Z', last_failure_at: '2026-01-03T00:00:00Z' })).label,
  ).toBe('Last attempt failed');
  expect(stateOf(endpoint({ state: 'paused', last_failure_at: '2026-01-03T00:00:00Z' })).label).toBe('Paused');
});

test('what was tried and is tried again says so', () => {
  expect(statusOf({ status: 'pending', attempts: 0 }).label).toBe('On its way');
  expect(statusOf({ status: 'pending', attempts: 2 }).label).toBe('Trying again');
});
