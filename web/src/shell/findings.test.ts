import { expect, test } from 'vitest';
import { named, PLACES, worded } from './findings.ts';

const told = (typed: string) => named(typed).map(({ label, to, search }) => [label, to, search]);

test('what a text names by its form is looked for where it can be', () => {
  const trace = '0af7651916cd43dd8448eb211c80319c';
  expect(told(` ${trace.toUpperCase()} `)).toEqual([
    ['Calls of this trace', '/api', { part: 'calls', trace }],
    ['Webhooks of this trace', '/webhooks', { part: 'events', id: trace }],
  ]);
  expect(told('203.0.113.7')[0]).toEqual([
    'Calls from 203.0.113.7',
    '/api',
    { part: 'calls', client_ip: '203.0.113.7' },
  ]);
  expect(told('2001:db8::7')[1]).toEqual([
    'Audit entries from 2001:db8::7',
    '/audit',
    { tab: 'entries', ip: '2001:db8::7' },
  ]);
  expect(told('evt_1Q2w3E')).toEqual([['Webhook evt_1Q2w3E', '/webhooks', { part: 'events', id: 'evt_1Q2w3E' }]]);
  expect(told('0190a0b1-0000-7000-8000-000000000001')[0]?.[1]).toBe('/webhooks');
});

test('words are no ids, and are looked for in calls and entries from three letters on', () => {
  for (const words of ['block', 'last 2h', 'user:7', 'ab']) expect(named(words)).toEqual([]);
  expect(worded('ab')).toEqual([]);
  expect(worded(' refund ').map(({ search }) => search.text)).toEqual(['refund', 'refund']);
});

test('the words of somebody in a hurry find a place', () => {
  const found = (word: string) => PLACES.filter(({ label }) => label.toLowerCase().includes(word)).length;
  for (const word of ['block', 'replay', 'rule', 'review', 'error', 'report', 'user', 'failed'])
    expect(found(word)).toBeGreaterThan(0);
});
