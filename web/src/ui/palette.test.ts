import { describe, expect, it } from 'vitest';
import { DASH_BEFORE, DASHES, paletteOf, SERIES } from './palette.ts';

it('every line has a pattern of its own, also the one of the period before', () => {
  // Dashes are told apart by their marks: how many there are, and whether they are long, short or dots.
  const kind = (dash: readonly number[]) =>
    dash.map((one, at) => (at % 2 ? '' : one > 12 ? 'L' : one > 6 ? 'l' : one > 2 ? 's' : '.')).join('');
  const gaps = (dash: readonly number[]) => `${kind(dash)} ${dash[1] ?? 0}`;
  const patterns = [...DASHES.map(gaps), gaps(DASH_BEFORE)];
  expect(new Set(patterns).size).toBe(patterns.length);
});

/** Lightness, and the two axes of colour, in OKLab (Ottosson 2020): equal distances look equally far apart. */
function oklab(colour: string): [number, number, number] {
  const [r, g, b] = linear(colour);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function linear(colour: string): [number, number, number] {
  const part = (at: number) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [part(1), part(3), part(5)];
}

/** Relative luminance, and how much two colours stand out from each other (WCAG 2.2, 1.4.11). */
function contrast(one: string, other: string): number {
  const light = (colour: string) => {
    const [r, g, b] = linear(colour);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const [most, least] = [light(one), light(other)].sort((a, b) => b - a);
  return (most ?? 1) / (least ?? 1);
}

describe.each(['light', 'dark'] as const)('the lines of a chart in the %s', (scheme) => {
  const colours = SERIES[scheme];
  const { surface } = paletteOf(scheme);
  it('have as many colours as patterns: where a colour comes again, so does its pattern', () => {
    expect(colours).toHaveLength(DASHES.length);
  });
  it.each(colours)('stand out from the page: %s', (colour) => {
    expect(contrast(colour, surface)).toBeGreaterThanOrEqual(3);
  });
  it('have colours that are told apart', () => {
    // Twice what is just seen where two colours touch (0.02): lines do not.
    for (const [at, one] of colours.entries())
      for (const other of colours.slice(at + 1)) {
        const [a, b] = [oklab(one), oklab(other)];
        expect(Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]), `${one} ${other}`).toBeGreaterThan(0.04);
      }
  });
});
