import { expect, test } from 'vitest';
import { layersOf } from './layers.ts';

const good = { label: 'Good', values: [5, null] };
const bad = { label: 'Bad', values: [1, 2] };
const before = { label: 'Before', before: true, values: [9, null] };
const drawn = (kind: 'line' | 'bars') =>
  layersOf(kind, [good, before, bad]).map(({ of, values }) => [of.label, values]);

test('bars stand on each other, and what was before on none of them', () => {
  expect(drawn('bars')).toEqual([
    ['Bad', [6, 2]],
    ['Good', [5, 0]],
    ['Before', [9, null]],
  ]);
});

test('lines are as high as their figures', () => {
  expect(drawn('line')).toEqual([
    ['Good', [5, null]],
    ['Before', [9, null]],
    ['Bad', [1, 2]],
  ]);
});
