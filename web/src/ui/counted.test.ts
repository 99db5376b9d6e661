import { describe, expect, test } from 'vitest';
import { howMany, settled } from './counted.ts';

describe('how many rows there are', () => {
  test.each([
    [1, false, undefined, '1 row'],
    [12, false, { count: 999, exact: true }, '12 rows'],
    [200, true, undefined, '200+ rows'],
    [200, true, { count: 12_345, exact: true }, '200 of 12,345 rows'],
    [200, true, { count: 20_000, exact: false }, '200 of at least 20,000 rows'],
    [400, true, { count: 390, exact: false }, '400+ rows'],
  ])('%i loaded, more: %s', (loaded, more, total, said) => {
    expect(howMany(loaded, more, total)).toBe(said);
  });
});

describe('the order of the values of a facet', () => {
  test('is that of the counts first, and stays when these change or a value is gone', () => {
    const first = settled([], ['stripe', 'github', 'shop'], []);
    expect(first).toEqual(['stripe', 'github', 'shop']);
    expect(settled(first, ['shop', 'stripe'], ['stripe'])).toBe(first);
  });

  test('takes what is new below, and what is chosen always', () => {
    expect(settled(['stripe'], ['github', 'stripe'], ['gone'])).toEqual(['stripe', 'github', 'gone']);
    const many = Array.from({ length: 60 }, (_, number) => `t${number}`);
    expect(settled([], many, ['t55'])).toEqual([...many.slice(0, 40), 't55']);
    expect(settled(many.slice(0, 40), ['new'], [])).toHaveLength(40);
  });
});
