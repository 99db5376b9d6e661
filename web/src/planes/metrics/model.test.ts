import { describe, expect, it } from 'vitest';
import { aggregationOf, nameOf, valuesOf } from './model.ts';

describe('a metric', () => {
  it('is shown as the URL says where that makes sense of its kind', () => {
    expect(aggregationOf('counter', 'rate')).toBe('rate');
    expect(aggregationOf('gauge', 'rate')).toBe('last');
    expect(aggregationOf('histogram', undefined)).toBe('percentiles');
    expect(aggregationOf('counter', 'percentiles')).toBe('sum');
  });
  it('has a nought where nothing was counted, and a gap where nothing was measured', () => {
    const when = { since: '2026-11-26T10:00:30Z', until: '2026-11-26T10:03:00Z' };
    const points = [{ at: '2026-11-26T10:01:00Z', value: 4 }];
    expect(valuesOf(when, { step_seconds: 60, aggregation: 'sum' }, points)[1]).toEqual([0, 4, 0]);
    expect(valuesOf(when, { step_seconds: 60, aggregation: 'last' }, points)[1]).toEqual([null, 4, null]);
  });
  it('has lines that are called by their labels', () => {
    expect(nameOf({}, 'all')).toBe('all');
    expect(nameOf({ plan: 'pro' }, 'all')).toBe('pro');
    expect(nameOf({ plan: 'pro', region: 'eu' }, 'all')).toBe('plan: pro, region: eu');
  });
});
