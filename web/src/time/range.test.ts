import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { moment } from './format.ts';
import { PRESETS, parseTyped, previous, relativeLabel, resolve, resolveBound, widened } from './range.ts';

const NOW = Date.parse('2026-11-25T18:44:48Z');
const HOUR = 3_600_000;

describe('a typed range', () => {
  it.each([
    ['last 45m', 'now-45m'],
    ['45m', 'now-45m'],
    ['Last 2 hours', 'now-2h'],
    ['past day', 'now-1d'],
    ['90 d', 'now-90d'],
    ['30 minutes ago', 'now-30m'],
    ['now-6h', 'now-6h'],
  ])('%s begins at %s', (typed, from) => {
    expect(parseTyped(typed, 'utc')).toEqual({ from, to: 'now' });
  });
  it('may be two moments in the zone of the reader', () => {
    expect(parseTyped('2026-11-20 10:00 to 2026-11-20 12:30', 'utc')).toEqual({
      from: '2026-11-20T10:00:00.000Z',
      to: '2026-11-20T12:30:00.000Z',
    });
  });
  describe('may leave out what is plain', () => {
    beforeEach(() => vi.setSystemTime(NOW));
    afterEach(() => vi.useRealTimers());
    it.each([
      ['2026-11-20 10:00 to 12:00', '2026-11-20T10:00', '2026-11-20T12:00'],
      ['10:00 to 12:00', '2026-11-25T10:00', '2026-11-25T12:00'],
      ['9:30 to 10:00', '2026-11-25T09:30', '2026-11-25T10:00'],
      ['23:50 to 00:10', '2026-11-24T23:50', '2026-11-25T00:10'],
      ['20:00 – 21:00', '2026-11-24T20:00', '2026-11-24T21:00'],
      ['00:16-00:18', '2026-11-25T00:16', '2026-11-25T00:18'],
      ['00:16 -00:18', '2026-11-25T00:16', '2026-11-25T00:18'],
      ['00:16- 00:18:30', '2026-11-25T00:16', '2026-11-25T00:18:30'],
      ['00:16\u201100:18', '2026-11-25T00:16', '2026-11-25T00:18'],
      ['00:16–00:18', '2026-11-25T00:16', '2026-11-25T00:18'],
      ['yesterday 10:00-12:00', '2026-11-24T10:00', '2026-11-24T12:00'],
      ['2026-11-20 10:00-12:00', '2026-11-20T10:00', '2026-11-20T12:00'],
      ['2026-11-20 10:00-2026-11-21 12:00', '2026-11-20T10:00', '2026-11-21T12:00'],
      ['2026-11-20-2026-11-21', '2026-11-20T00:00', '2026-11-21T00:00'],
      ['2026-11-20T10:00-05:00 to 2026-11-20T18:00-05:00', '2026-11-20T15:00', '2026-11-20T23:00'],
      ['yesterday 10:00 to 12:00', '2026-11-24T10:00', '2026-11-24T12:00'],
      ['today 10:00 to 12:00', '2026-11-25T10:00', '2026-11-25T12:00'],
      ['2026-11-20 23:00 to 01:00:30', '2026-11-20T23:00', '2026-11-21T01:00:30'],
    ])('%s', (typed, from, to) => {
      const seconds = (text: string) => (text.length < 19 ? `${text}:00.000Z` : `${text}.000Z`);
      expect(parseTyped(typed, 'utc')).toEqual({ from: seconds(from), to: seconds(to) });
    });
    it('a begin alone goes on to now', () => {
      expect(parseTyped('17:30', 'utc')).toEqual({ from: '2026-11-25T17:30:00.000Z', to: 'now' });
    });
    it('by the clock of the zone, also in the night in which it changes', () => {
      expect(parseTyped('2026-10-24 23:00 to 04:00', 'Europe/Berlin' as never)).toEqual({
        from: '2026-10-24T21:00:00.000Z',
        to: '2026-10-25T03:00:00.000Z',
      });
    });
  });
  it('may be a day', () => {
    expect(parseTyped('yesterday', 'utc')).toEqual({ from: 'now-1d/d', to: 'now/d' });
  });
  it.each([
    '',
    'soon',
    'last 0m',
    'last 999999 weeks',
    '2026-13-01',
    '2026-11-20 12:00 to 2026-11-20 10:00',
    '1 to 2 to 3',
  ])('cannot be %j', (typed) => {
    expect(parseTyped(typed, 'utc')).toBeNull();
  });
});

describe('bounds', () => {
  it('stay relative to now', () => {
    expect(resolve({ from: 'now-6h', to: 'now' }, NOW, 'utc')).toEqual({
      from: Date.parse('2026-11-25T12:40:00Z'),
      to: NOW,
    });
  });
  it('can be the begin of a day', () => {
    expect(moment(resolveBound('now-1d/d', NOW, 'utc') ?? 0, 'utc')).toBe('2026-11-24 00:00:00');
  });
  it.each([
    ['x', 'now'],
    ['now', 'now-1h'],
    ['1970-01-01T00:00:00Z', 'now'],
  ])('that make no sense (%s, %s) mean the last hour', (from, to) => {
    expect(resolve({ from, to }, NOW, 'utc')).toEqual({
      from: Date.parse('2026-11-25T17:44:00Z'),
      to: NOW,
    });
  });
  it.each([
    ['now-1m', 'now', '18:43:00', '18:44:48'],
    ['now-5m', 'now', '18:39:00', '18:44:48'],
    ['now-12h', 'now', '06:40:00', '18:44:48'],
    ['2026-11-25T10:00:12Z', '2026-11-25T10:04:40Z', '10:00:00', '10:05:00'],
    ['2026-11-25T18:41:12Z', '2026-11-25T18:44:40Z', '18:41:00', '18:45:00'],
    ['2026-11-25T10:00:12Z', '2026-11-25T10:00:40Z', '10:00:12', '10:00:40'],
  ])('mean whole minutes at least, up to now, or seconds where they are few (%s, %s)', (from, to, begin, end) => {
    expect(resolve({ from, to }, NOW, 'utc')).toEqual({
      from: Date.parse(`2026-11-25T${begin}Z`),
      to: Date.parse(`2026-11-25T${end}Z`),
    });
  });
  it.each([
    ['now-24h', '2026-11-24T18:40:00Z'],
    ['now-2d', '2026-11-23T18:30:00Z'],
    ['now-7d', '2026-11-18T18:00:00Z'],
    ['now-30d', '2026-10-26T18:00:00Z'],
    ['now-90d', '2026-08-27T00:00:00Z'],
  ])('begin with a step of every chart (%s)', (from, begin) => {
    expect(resolve({ from, to: 'now' }, NOW, 'utc').from).toBe(Date.parse(begin));
  });
  it('are said in words', () => {
    expect(relativeLabel({ from: 'now-1h', to: 'now' })).toBe('Last hour');
    expect(relativeLabel({ from: 'now-45m', to: 'now' })).toBe('Last 45 minutes');
    expect(relativeLabel({ from: '2026-11-20T10:00:00Z', to: 'now' })).toBeNull();
  });
});

it.each(PRESETS.filter(({ to }) => !to))(
  'the stretch before is as long as $label, and begins with a step',
  ({ from }) => {
    const span = resolve({ from, to: 'now' }, NOW, 'utc');
    const before = previous(span);
    expect(before.to - before.from).toBe(span.to - span.from);
    const back = span.from - before.from;
    if (!from.endsWith('/d')) expect(NOW - back).toBe(resolveBound(from, NOW, 'utc'));
    expect(Math.abs(before.to - span.from)).toBeLessThan(86_400_000);
  },
);

it('wider never reaches beyond now', () => {
  const wide = widened({ from: NOW - HOUR, to: NOW }, NOW);
  expect(wide).toEqual({ from: NOW - 2 * HOUR, to: NOW });
});
