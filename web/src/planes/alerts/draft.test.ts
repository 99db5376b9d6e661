import { describe, expect, it } from 'vitest';
import { bodyOf, draftOfRule, faultsOf, isWhole, labelsOf, type Rule, searchOf, secondsOf, written } from './draft.ts';

const RULE = {
  id: 'disk-full',
  origin: 'built-in',
  no_data: '',
  name: 'The disk is filling up',
  metric: 'system.disk.used_percent',
  aggregation: 'last',
  comparator: '>=',
  threshold: 90,
  clear: 85,
  critical: 97,
  severity: 'warning',
  labels: { host: 'a:b' },
  by: ['host'],
  window_seconds: 60,
  hold_seconds: 90,
  clear_hold_seconds: 0,
  remind_seconds: 14_400,
  message: '{host} is {value} % full',
  enabled: true,
  tenant: null,
} satisfies Rule;

describe('an alert rule that is written', () => {
  it('is the same again when nothing was changed', () => {
    const { id: _, origin: __, no_data: ___, ...body } = RULE;
    expect(bodyOf(draftOfRule(RULE))).toEqual(body);
  });
  it('leaves out of the URL what is as usual', () => {
    const search = searchOf({ name: 'Queue', op: '>', window: '1m', hold: '5m' });
    expect(Object.entries(search).filter(([, value]) => value !== undefined)).toEqual([
      ['name', 'Queue'],
      ['hold', '5m'],
    ]);
  });
  it('reads and writes times as people do', () => {
    expect(['90', '90s', '5 m', '4h', '2d', '', 'soon', '-1m'].map(secondsOf)).toEqual([
      90,
      90,
      300,
      14_400,
      172_800,
      null,
      null,
      null,
    ]);
    expect([0, 45, 60, 90, 3_600, 172_800].map(written)).toEqual(['0s', '45s', '1m', '90s', '1h', '2d']);
  });
  it('reads labels a line each, whatever is in their values', () => {
    expect(labelsOf('region: eu\n\nurl: https://a:1/b, c')).toEqual({ region: 'eu', url: 'https://a:1/b, c' });
    expect([labelsOf('region'), labelsOf(': eu'), labelsOf('a: 1\na: 2')]).toEqual([null, null, null]);
    expect(labelsOf('__proto__: x')).not.toBeNull();
  });
  it('says which bound is on the wrong side', () => {
    expect(faultsOf({ threshold: '10', clear: '11', critical: '9' })).toMatchObject({
      clear: expect.any(String),
      critical: expect.any(String),
    });
    expect(faultsOf({ op: '<', threshold: '10', clear: '11', critical: '9' })).toEqual({});
  });
  it('is whole with a name, a metric and a number', () => {
    expect(isWhole({ name: 'Queue', metric: 'queue.depth', threshold: '0' })).toBe(true);
    expect(isWhole({ name: 'Queue', metric: 'queue.depth', threshold: '1e' })).toBe(false);
    expect(isWhole({ name: 'Queue', metric: 'queue.depth', threshold: '1', window: '5s' })).toBe(false);
  });
});
