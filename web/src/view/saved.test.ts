import { describe, expect, it } from 'vitest';
import { freeName, opener, type SavedView, toldOf } from './saved.ts';

const VIEW: SavedView = {
  id: '1',
  tenant: null,
  name: 'Errors',
  tab: 'api',
  place: '/api?part=errors',
  shared: false,
  made_by: 'Ann',
  mine: true,
  may_change: true,
  my_default: false,
  shared_default: false,
  created_at: '2026-11-26T06:00:00Z',
  changed_at: '2026-11-26T06:00:00Z',
};

describe('a saved view', () => {
  it('says who sees it and for whom its tab opens with it', () => {
    expect(toldOf(VIEW)).toBe('Only you see it');
    expect(toldOf({ ...VIEW, my_default: true })).toBe('Only you see it, opens its tab for you');
    expect(toldOf({ ...VIEW, shared: true })).toBe('Shared by you');
    const shared = { ...VIEW, shared: true, mine: false, shared_default: true };
    expect(toldOf(shared)).toBe('Shared by Ann, opens its tab for everybody');
    expect(toldOf({ ...shared, my_default: true })).toBe('Shared by Ann, opens its tab for you and everybody');
    expect(toldOf({ ...shared, made_by: '', shared_default: false })).toBe('Shared by somebody who is gone');
  });

  it('opens its tab: one’s own choice before that for everybody', () => {
    const all = { ...VIEW, id: '2', shared_default: true };
    const mine = { ...VIEW, id: '3', my_default: true };
    expect(opener([VIEW, all], 'api')?.id).toBe('2');
    expect(opener([VIEW, all, mine], 'api')?.id).toBe('3');
    expect(opener([VIEW], 'api')).toBeUndefined();
    expect(opener([all], 'audit')).toBeUndefined();
  });
});

describe('a view that a browser has kept', () => {
  it('is moved under a name that is free and not too long', () => {
    expect(freeName('Errors', ['Faults'])).toBe('Errors');
    expect(freeName('Errors', ['Errors', 'Errors (2)'])).toBe('Errors (3)');
    expect(freeName('x'.repeat(70), ['x'.repeat(60)])).toBe(`${'x'.repeat(56)} (2)`);
  });
});
