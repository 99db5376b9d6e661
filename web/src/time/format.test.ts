import { describe, expect, it } from 'vitest';
import {
  ago,
  ahead,
  around,
  bytes,
  change,
  compact,
  difference,
  duration,
  moment,
  parseLocal,
  percent,
  points,
  quantity,
  span,
  startOfDay,
  tick,
  zoneName,
  zoneNamed,
  zoneOffset,
} from './format.ts';

const AT = Date.parse('2026-11-25T18:44:48.123Z');
const MINUTE = 60_000;
const DAY = 86_400_000;

describe('a moment', () => {
  it('is written with as much as is asked for', () => {
    expect(moment(AT, 'utc')).toBe('2026-11-25 18:44:48');
    expect(moment('2026-11-25T18:44:48.123Z', 'utc', 'milli')).toBe('2026-11-25 18:44:48.123');
    expect(moment(AT, 'utc', 'date')).toBe('2026-11-25');
    expect(moment('nonsense', 'utc')).toBe('–');
  });
  it('is read as it is written', () => {
    expect(parseLocal('2026-11-25 18:44:48', 'utc')).toBe(AT - 123);
    expect(parseLocal(moment(AT, 'local'), 'local')).toBe(AT - 123);
    expect(parseLocal('2026-02-30', 'utc')).toBeNull();
    expect(parseLocal('2026-11-25 24:00', 'utc')).toBeNull();
  });
  it('on an axis says what tells it from its neighbours', () => {
    expect(tick(AT, MINUTE, 'utc')).toBe('18:44');
    expect(tick(AT, 1_000, 'utc')).toBe('18:44:48');
    expect(tick(startOfDay(AT, 'utc'), MINUTE, 'utc')).toBe('11-25');
    expect(tick(AT, DAY, 'utc')).toBe('11-25');
  });
  it('can be told by its distance', () => {
    expect(ago(AT - 500, AT)).toBe('now');
    expect(ago(AT - 3 * MINUTE, AT)).toBe('3 min ago');
    expect(ago(AT - 3 * DAY, AT)).toBe('3 d ago');
    // The page's now moves in steps: what has just happened may be later.
    expect(ago(AT + 4_000, AT)).toBe('now');
    expect(ahead(AT + 2 * MINUTE, AT)).toBe('in 2 min');
    expect(ahead(AT + 42_000, AT)).toBe('in 42 s');
    expect(ahead(AT + 500, AT)).toBe('now');
    // What should have been tried a minute ago is tried now.
    expect(ahead(AT - MINUTE, AT)).toBe('now');
    expect(around(AT + 2 * MINUTE, AT)).toBe('in 2 min');
    expect(around(AT - 2 * MINUTE, AT)).toBe('2 min ago');
  });
});

describe('a zone', () => {
  const SUMMER = Date.parse('2026-07-01T12:00:00.250Z');
  it('may be any that the browser knows', () => {
    expect(moment(AT, 'Europe/Berlin')).toBe('2026-11-25 19:44:48');
    expect(moment(SUMMER, 'Europe/Berlin')).toBe('2026-07-01 14:00:00');
    expect(zoneNamed('Asia/Kolkata')).toBe('Asia/Kolkata');
    expect(zoneNamed('UTC')).toBe('utc');
    expect(zoneName('Asia/Kolkata')).toBe('Asia/Kolkata');
  });
  it.each(['Nowhere/Atall', '', 'local', '../etc', '<b>', 'a'.repeat(99)])('is not %j', (name) => {
    expect(zoneNamed(name)).toBeUndefined();
  });
  it('says how far it is from UTC', () => {
    expect(zoneOffset('Asia/Kolkata', AT)).toBe('UTC+05:30');
    expect(zoneOffset('America/New_York', SUMMER)).toBe('UTC−04:00');
    expect(moment(SUMMER, 'America/New_York', 'iso')).toBe('2026-07-01T08:00:00.250-04:00');
    expect(moment(SUMMER, 'utc', 'iso')).toBe('2026-07-01T12:00:00.250Z');
  });
  it('is that of what is typed, and of the begin of a day', () => {
    expect(parseLocal('2026-11-25 19:44:48', 'Europe/Berlin')).toBe(AT - 123);
    expect(parseLocal('2026-03-29 03:30', 'Europe/Berlin')).toBe(Date.parse('2026-03-29T01:30:00Z'));
    expect(startOfDay(Date.parse('2026-03-29T12:00:00Z'), 'Europe/Berlin')).toBe(Date.parse('2026-03-28T23:00:00Z'));
  });
});

it('a stretch does not say the date twice', () => {
  expect(span(AT - 60 * MINUTE, AT, 'utc')).toBe('2026-11-25 17:44 – 18:44');
  expect(span(AT - DAY, AT, 'utc')).toBe('2026-11-24 18:44 – 2026-11-25 18:44');
});

describe('a figure', () => {
  it.each([
    [0, '0 ms'],
    [0.0093, '9.3 µs'],
    [0.4213, '0.42 ms'],
    [38.2, '38 ms'],
    [1_240, '1.24 s'],
    [125_000, '2 min 5 s'],
    [300_000, '5 min'],
    [5 * 3_600_000, '5 h'],
    [36 * 3_600_000 + 59_000, '1 d 12 h'],
    [null, '–'],
  ])('of %s milliseconds is %s', (ms, written) => {
    expect(duration(ms)).toBe(written);
  });
  it.each([
    [0, '0 %'],
    [1, '100 %'],
    [0.00001, '< 0.01 %'],
    [0.0042, '0.42 %'],
    [0.9995, '99.95 %'],
    [0.5, '50 %'],
  ])('share of %s is %s', (share, written) => {
    expect(percent(share)).toBe(written);
  });
  it('is short where room is short', () => {
    expect([compact(9_999), compact(12_345), compact(3_400_000), compact(1.5)]).toEqual([
      '9,999',
      '12.3 k',
      '3.4 M',
      '1.5',
    ]);
    expect([bytes(999), bytes(4_200), bytes(5_000_000)]).toEqual(['999 B', '4.2 kB', '5 MB']);
  });
  it('tells its change', () => {
    expect([change(112, 100), change(88, 100), change(5, 0), change(0, 0), change(1_500, 100)]).toEqual([
      '+12 %',
      '−12 %',
      null,
      '±0 %',
      '+15×',
    ]);
    expect([difference(6, 1), difference(0, 2), difference(3, 3)]).toEqual(['+5', '−2', '±0']);
  });
});

it('a change of a share is told in points', () => {
  expect(points(0.0144, 0.007)).toBe('+0.74 pt');
  expect(points(0.31, 0.36)).toBe('−5 pt');
  expect(points(1, 1)).toBe('±0');
});

describe('quantities of whatever unit', () => {
  it('keep what small ones say', () => {
    expect([0.004_218, -0.25, 0, 4.567, 12, 12_345, null].map(quantity)).toEqual([
      '0.00422',
      '-0.25',
      '0',
      '4.57',
      '12',
      '12.3 k',
      '–',
    ]);
  });
});
