import { expect, it } from 'vitest';
import { byDeliveries, gridOf } from './course.ts';

const RANGE = { since: '2026-11-25T10:00:00Z', until: '2026-11-25T10:02:30Z', step_seconds: 60 };

it('points stand at their time, and where there was none is a gap', () => {
  const course = gridOf(RANGE, [{ at: '2026-11-25T10:01:00Z', n: 7 }], (point) => point.n);

  expect(course.times).toEqual([0, 1, 2].map((minute) => Date.UTC(2026, 10, 25, 10, minute)));
  expect(course.values).toEqual([null, 7, null]);
});

it('a range without an answer has no steps, and one beyond measure is cut', () => {
  expect(gridOf(undefined, [], () => 0).times).toEqual([]);
  expect(gridOf({ ...RANGE, since: '1970-01-01T00:00:00Z' }, [], () => 0).times.length).toBe(2_000);
});

it('sources stand in the order of what is drawn of them', () => {
  const of = (source: string, received: number, refused: number) => ({ source, summary: { received, refused } });

  const names = byDeliveries([of('a', 9, 0), of('b', 5, 5), of('c', 0, 30)]).map(({ source }) => source);

  expect(names).toEqual(['c', 'b', 'a']);
});
