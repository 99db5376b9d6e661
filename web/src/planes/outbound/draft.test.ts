import { expect, test } from 'vitest';
import { bodyOf, draftOf, faultsOf } from './draft.ts';
import { headersOf } from './written.ts';

test('what is written in the form becomes what the API takes', () => {
  const body = bodyOf({
    ...draftOf(),
    url: ' https://example.com/hooks ',
    types: 'order.*, invoice.paid',
    match: '{"data.total": {"$gte": 100}}',
    headers: 'X-Shop: a:b\n\n',
    auth: 'bearer',
    credentials: { token: 't', username: '' },
  });
  expect(body.url).toBe('https://example.com/hooks');
  expect(body.event_types).toEqual(['order.*', 'invoice.paid']);
  expect(body.options?.match).toEqual({ 'data.total': { $gte: 100 } });
  expect(body.options?.headers).toEqual({ 'X-Shop': 'a:b' });
  expect(body.credentials).toEqual({ token: 't' });
  expect(body.retry?.schedule_seconds).toHaveLength(9);
});

test('without new credentials those that are sealed stay', () => {
  expect('credentials' in bodyOf(draftOf())).toBe(false);
});

test('what cannot be is said where it stands', () => {
  const faults = faultsOf({ ...draftOf(), match: '[1]', headers: 'nothing', schedule: '5, 0' });
  expect(Object.keys(faults)).toEqual(['match', 'headers', 'schedule']);
  expect(faultsOf(draftOf())).toEqual({});
});

test('headers are one a line, and a value may hold a colon', () => {
  expect(headersOf('X-Shop: a:b\n\n')).toEqual({ 'X-Shop': 'a:b' });
  expect(headersOf('nothing')).toBeNull();
});
