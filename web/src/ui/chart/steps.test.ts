import { expect, test } from 'vitest';
import { counted, courseOf, earlier, filled } from './steps.ts';

const at = (second: number) => new Date(Date.UTC(2026, 10, 25, 10, 0, second)).toISOString();
const begins = (...seconds: number[]) => seconds.map((second) => Date.parse(at(second)));
const stretch = (since: number, until: number, step_seconds = 10) => ({
  since: at(since),
  until: at(until),
  step_seconds,
});

test('a trend has a point for each step, also where nothing was', () => {
  const points = [{ at: at(20), n: 7 }];
  const [times, found] = filled(stretch(5, 40), points);
  expect(times).toEqual(begins(0, 10, 20, 30));
  expect(found.map((point) => point?.n)).toEqual([undefined, undefined, 7, undefined]);
});

test('what was before stands under the step that is as far from the begin, whatever steps were left out', () => {
  const then = [{ at: at(0) }, { at: at(20) }];
  expect(earlier(begins(30, 40, 50), stretch(30, 60), stretch(0, 30), then)).toEqual([then[0], undefined, then[1]]);
  expect(earlier(begins(50), stretch(30, 60), stretch(0, 30), then)).toEqual([then[1]]);
});

test('where steps begin at round moments and the period does not, each is told by its own begin', () => {
  const then = [{ at: at(0) }, { at: at(10) }];
  expect(earlier(begins(30, 40), stretch(32, 59), stretch(5, 32), then)).toEqual(then);
});

test('steps of another width are not compared', () => {
  expect(earlier(begins(30), stretch(30, 60), stretch(0, 30, 60), [{ at: at(0) }])).toBeNull();
});

test('a course has a value for each step: zero where nothing was counted, none where nothing was timed', () => {
  const points = [{ at: at(10), n: 7 }];
  expect(courseOf(stretch(0, 30), points, (point) => point.n)).toEqual([0, 7, 0]);
  expect(courseOf(stretch(0, 30), points, (point) => point.n, null)).toEqual([null, 7, null]);
  expect(courseOf(undefined, undefined, () => 1)).toEqual([]);
});

test('the period before is drawn from the first thing that was counted on', () => {
  const pick = (point: { n: number }) => point.n;
  expect(counted([undefined, { n: 0 }, { n: 3 }, undefined], pick)).toEqual([null, null, 3, 0]);
  expect(counted([undefined, undefined], pick)).toEqual([null, null]);
});
