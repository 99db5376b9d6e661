import { expect, test } from 'vitest';
import { bodyOf, changeOf, draftOf, faultsOf } from './draft.ts';
import { headersOf, keptHeaders, newHeader } from './written.ts';

test('what is written in the form becomes what the API takes', () => {
  const body = bodyOf({
    ...draftOf(),
    url: ' https://example.com/hooks ',
    types: 'order.*, invoice.paid',
    match: '{"data.total": {"$gte": 100}}',
    headers: [{ ...newHeader(), name: ' X-Shop', value: 'a:b ' }],
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
  const faults = faultsOf({ ...draftOf(), match: '[1]', schedule: '5, 0' });
  expect(Object.keys(faults)).toEqual(['match', 'schedule']);
  expect(faultsOf(draftOf())).toEqual({});
});

test('a header keeps its value until another is written', () => {
  const kept = keptHeaders(['x-b', 'x-a']).map((one) => (one.name === 'x-b' ? { ...one, value: 'new' } : one));
  expect(headersOf([...kept, { ...newHeader(), name: 'X-C' }])).toEqual({
    'x-a': null,
    'x-b': 'new',
    'X-C': '',
  });
});

test('a change is what differs, and nothing else', () => {
  const before = { ...draftOf(), auth: 'bearer', headers: keptHeaders(['x-a', 'x-b']) };
  expect(changeOf(before, before)).toEqual({});
  expect(changeOf(before, { ...before, timeout: 20, rate: 5, headers: before.headers.slice(1) })).toEqual({
    retry: { timeout_seconds: 20 },
    options: { rate: 5, headers: { 'x-b': null } },
  });
  expect(changeOf(before, { ...before, url: 'https://example.com', credentials: { token: 't' } })).toEqual({
    url: 'https://example.com',
    credentials: { token: 't' },
  });
});
