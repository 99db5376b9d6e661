import { expect, it } from 'vitest';
import { DASH_BEFORE, DASHES } from './palette.ts';

it('every line has a pattern of its own, also the one of the period before', () => {
  // Dashes are told apart by their marks: how many there are, and whether they are long, short or dots.
  const kind = (dash: readonly number[]) =>
    dash.map((one, at) => (at % 2 ? '' : one > 12 ? 'L' : one > 6 ? 'l' : one > 2 ? 's' : '.')).join('');
  const gaps = (dash: readonly number[]) => `${kind(dash)} ${dash[1] ?? 0}`;
  const patterns = [...DASHES.map(gaps), gaps(DASH_BEFORE)];
  expect(new Set(patterns).size).toBe(patterns.length);
});
