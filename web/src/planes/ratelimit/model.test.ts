import { expect, it } from 'vitest';
import { back, most } from './model.ts';

it('a limit says in words how exact it is', () => {
  const exact = { worst_case_factor: 1, lateness_seconds: 0 };
  const coarse = { worst_case_factor: 1.5, lateness_seconds: 1_440 };

  expect(most(exact)).toBe('never more than the limit passes in a stretch of its length');
  expect(back(exact)).toBe('as soon as it is due');
  expect(most(coarse)).toMatch(/^up to 50(\.0)? % more than the limit/);
  expect(back(coarse)).toBe('up to 24 min late');
});
