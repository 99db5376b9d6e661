import { expect, it } from 'vitest';
import { ticks } from './ticks.ts';

const at = (text: string) => Date.parse(`2026-11-${text}Z`);

it.each([
  ['25T18:44:00', '25T18:49:30', ['18:44', '18:45', '18:46', '18:47', '18:48', '18:49']],
  ['25T17:44:00', '25T18:44:48', ['17:45', '18:00', '18:15', '18:30']],
  ['24T18:40:00', '25T18:44:48', ['11-25', '06:00', '12:00', '18:00']],
  ['18T18:00:00', '25T18:44:48', ['11-20', '11-22', '11-24']],
])('an axis from %s to %s has few round moments', (from, to, names) => {
  expect(ticks(at(from), at(to), 'utc').map(([, name]) => name)).toEqual(names);
});

it('hours are those of the zone', () => {
  const found = ticks(at('24T18:40:00'), at('25T18:44:48'), 'Asia/Kolkata' as never);
  expect(found.map(([, name]) => name)).toEqual(['06:00', '12:00', '18:00', '11-26']);
});
