import { expect, it } from 'vitest';
import { runsOf } from './runs.ts';

it('a course is one line', () => {
  expect(runsOf([0, 2, 1])).toEqual([
    { line: 'M0.00 26.00L0.00 26.00L50.00 2.00L100.00 14.00', from: '0.00', to: '100.00' },
  ]);
});

it('where nothing is known is a gap, and what stands alone is a point', () => {
  expect(runsOf([1, null, null, 1, 1]).map(({ from, to }) => [from, to])).toEqual([
    ['0.00', '0.00'],
    ['75.00', '100.00'],
  ]);
});
