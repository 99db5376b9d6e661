import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { Began } from './began.ts';
import { StatCard } from './StatCard.tsx';

/** What a card says below its value. */
function said(figure: number, before: number | null | undefined, note?: string, began: string | null = null): string {
  const card = createElement(StatCard, {
    label: 'Calls',
    value: String(figure),
    figure,
    ...(before === undefined ? {} : { before }),
    note,
  });
  return renderToStaticMarkup(createElement(Began.Provider, { value: began }, card))
    .replace(/<span class="[^"]*unseen[^"]*">[^<]*<\/span>/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ')
    .replace(`Calls ${figure}`, '')
    .trim();
}

describe('a card that compares says what has become of its figure', () => {
  it.each([
    [12, 10, '+20 %'],
    [10, 10, 'no change'],
    [10, 0, 'none before'],
    [0, 0, 'no change'],
    [10, null, 'none before'],
  ])('%d after %d', (figure, before, change) => {
    expect(said(figure, before)).toBe(change);
    // A note does not take its place.
    expect(said(figure, before, 'worst: /orders')).toBe(`${change} worst: /orders`);
  });
  it.each([
    [12, 10, 'no whole period before'],
    [12, 12, 'no whole period before'],
    [12, 0, 'none before'],
    [12, null, 'none before'],
  ])('%d after %d in part of a period', (figure, before, change) => {
    expect(said(figure, before, undefined, '08:12')).toBe(change);
  });
  it('and nothing while that is on its way', () => {
    expect(said(10, undefined, 'worst: /orders')).toBe('worst: /orders');
  });
});
