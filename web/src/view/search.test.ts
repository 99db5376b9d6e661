import { expect, it } from 'vitest';
import { narrowed, orderOf, parseSearch, stringifySearch, viewSearch, withOrder } from './search.ts';

it.each([
  '?from=now-6h&status=failed&status=dead',
  '?from=2026-11-20T10:00:00.000Z&to=2026-11-20T12:00:00.000Z&q=a+b%26c',
  '',
])('the query %j is read and written as it was', (search) => {
  expect(stringifySearch(parseSearch(search))).toBe(search);
});

it('what cannot be read is left out, and so is what is the default', () => {
  expect(viewSearch({ from: 'javascript:alert(1)', to: 'now', compare: 'x', live: 'off', tz: ['<b>'] })).toEqual({
    live: 'off',
  });
  expect(viewSearch({ from: 'now-1h', tz: 'utc', compare: 'previous' })).toEqual({ tz: 'utc', compare: 'previous' });
  expect(viewSearch({ tz: 'Europe/Berlin' })).toEqual({ tz: 'Europe/Berlin' });
  expect(viewSearch({ tz: 'Europe/Atlantis' })).toEqual({});
});

it('each table keeps its own order, and a mangled one is left out', () => {
  const both = withOrder(withOrder(undefined, 'calls', { id: 'total_ms', desc: true }), 'types', {
    id: 'dead',
    desc: false,
  });
  expect(stringifySearch({ sort: both })).toBe('?sort=calls:-total_ms&sort=types:dead');
  expect(viewSearch({ sort: ['calls:-total_ms', 'javascript:alert(1)', '__proto__'] })).toEqual({
    sort: ['calls:-total_ms'],
  });
  expect(orderOf(both, 'calls')).toEqual({ id: 'total_ms', desc: true });
  expect(orderOf(both, 'call')).toBeNull();
  expect(withOrder(both, 'calls', null)).toEqual(['types:dead']);
  expect(withOrder(['types:dead'], 'types', null)).toBeUndefined();
});

it('what a view is narrowed to is told in a few words', () => {
  const search = {
    route: '/orders',
    status: ['failed', 'dead'],
    api_key: 'k'.repeat(80),
    from: 'now-6h',
    part: 'calls',
  };
  expect(narrowed(search, ['route', 'status', 'method'])).toBe('route /orders, status failed or dead');
  expect(narrowed(search, ['api_key'])).toBe(`api key ${'k'.repeat(60)}`);
  expect(narrowed(search, ['method'])).toBe('');
});
