import { describe, expect, it } from 'vitest';
import { fired, silent } from './trial.ts';

const MINUTE = 60_000;
const times = (many: number) => Array.from({ length: many }, (_, at) => at * MINUTE);
const rule = { comparator: '>=', threshold: 10, clear: null, hold_seconds: 120, clear_hold_seconds: 60 } as const;

describe('what a rule would have done', () => {
  it('fires once it was broken for as long as it must be, and is over once it was fine for long enough', () => {
    const values = [0, 10, 11, 12, 30, 9, 8, 0];
    expect(fired(rule, times(8), values, MINUTE)).toEqual([{ from: 4 * MINUTE, until: 7 * MINUTE, worst: 30 }]);
  });
  it('does not fire for what is over before', () => {
    expect(fired(rule, times(6), [10, 10, 9, 10, 10, 9], MINUTE)).toEqual([]);
  });
  it('goes on between the threshold and where it is over', () => {
    const values = [20, 20, 20, 7, 7, 7, 4, 4];
    expect(fired({ ...rule, clear: 5 }, times(8), values, MINUTE)).toEqual([
      { from: 3 * MINUTE, until: 8 * MINUTE, worst: 20 },
    ]);
  });
  it('takes a figure that is missing for fine, and one that still fires has no end', () => {
    expect(fired({ ...rule, hold_seconds: 0 }, times(3), [null, null, 12], MINUTE)).toEqual([
      { from: 3 * MINUTE, until: null, worst: 12 },
    ]);
  });
  it('knows low figures, of which the least is the worst', () => {
    const low = { ...rule, comparator: '<', threshold: 1, hold_seconds: 0 } as const;
    expect(fired(low, times(3), [0.5, 0.2, 3], MINUTE)[0]?.worst).toBe(0.2);
  });
  it('a rate of what did not happen is nought, a mean of it is none', () => {
    expect([silent('rate'), silent('avg')]).toEqual([0, null]);
  });
});
