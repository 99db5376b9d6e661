import { describe, expect, it } from 'vitest';
import { grantable, stateOf } from './model.ts';

describe('who may administer', () => {
  it('nobody is offered to give more than they have', () => {
    expect(grantable('owner').map((one) => one.value)).toEqual(['owner', 'admin', 'member']);
    expect(grantable('admin').map((one) => one.value)).toEqual(['admin', 'member']);
    expect(grantable(undefined)).toEqual([]);
  });
  it('a key works until it is revoked or its time is over', () => {
    const now = Date.UTC(2026, 10, 26);
    const of = (revoked_at: string | null, expires_at: string | null) => stateOf({ revoked_at, expires_at }, now).label;
    expect(of(null, null)).toBe('works');
    expect(of(null, '2026-11-26T00:00:01Z')).toBe('works');
    expect(of(null, '2026-11-26T00:00:00Z')).toBe('expired');
    expect(of('2026-11-25T00:00:00Z', null)).toBe('revoked');
  });
});
