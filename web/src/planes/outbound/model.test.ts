import { expect, it } from 'vitest';
import { differences } from '../../ui/comparison.ts';
import { type Attempt, comparable, type Listed, stateOf, whyOf } from './model.ts';

const FIRST: Attempt = {
  number: 1,
  started_at: '2026-11-25T18:44:48Z',
  url: 'https://a.test/hooks',
  succeeded: false,
  status: 503,
  error: 'answered 503',
  excerpt: 'away for a moment',
  dns_ms: 1,
  connect_ms: 2,
  tls_ms: 3,
  first_byte_ms: 10,
  total_ms: 12,
  headers: [
    { name: 'content-type', value: 'application/json' },
    { name: 'webhook-timestamp', value: '1' },
  ],
  answer_headers: [{ name: 'server', value: 'a proxy' }],
};
const SECOND: Attempt = {
  ...FIRST,
  number: 2,
  succeeded: true,
  status: 200,
  error: '',
  excerpt: '',
  headers: [
    { name: 'content-type', value: 'application/json' },
    { name: 'webhook-timestamp', value: '2' },
    { name: 'x-tag', value: 'a' },
    { name: 'x-tag', value: 'b' },
  ],
  answer_headers: [{ name: 'server', value: 'the app' }],
};

it('compares attempts by what was sent and what was answered, oldest first', () => {
  const [first, second] = comparable([SECOND, FIRST]);

  expect([first?.label, second?.label]).toEqual(['Attempt 1, answered 503', 'Attempt 2, answered 200']);
  const { changes, same } = differences(first?.fields ?? {}, second?.fields ?? {});
  expect(changes.map(({ path, before, after }) => [path, before, after])).toEqual([
    ['Answer', 'answered 503', 'answered 200'],
    ['Error', 'answered 503', ''],
    ['Answer begins', 'away for a moment', ''],
    ['Header webhook-timestamp', '1', '2'],
    ['Answer header server', 'a proxy', 'the app'],
    ['Header x-tag', undefined, 'a, b'],
  ]);
  expect(same).toContain('Sent to');
});

it('says that nothing was answered', () => {
  expect(comparable([{ ...FIRST, status: null }])[0]?.label).toBe('Attempt 1, no answer');
});

it.each([
  [{ condition: 'healthy', failures: 0, open_until: null }, 'enabled', '–'],
  [{ condition: 'degraded', failures: 1, open_until: null }, 'enabled, degraded', 'the last attempt failed'],
  [
    { condition: 'failing', failures: 6, open_until: '2026-11-25T18:45:47Z' },
    'enabled, failing',
    '6 failed in a row, next try in 47 s',
  ],
  [{ state: 'paused', condition: 'paused', state_reason: 'moving house', failures: 6 }, 'paused', 'moving house'],
])('an endpoint says how it is, and why: %j', (given, state, why) => {
  const endpoint = { state: 'enabled', state_reason: '', open_until: null, ...given } as Listed;

  expect([stateOf(endpoint), whyOf(endpoint, Date.parse('2026-11-25T18:45:00Z'))]).toEqual([state, why]);
});
