/**
 * Colours of data: Okabe and Ito's eight, which people of every kind of colour vision can tell apart, lightened or
 * darkened until they stand out from the page (WCAG 1.4.11). Colour never speaks alone: lines have dashes, states have
 * icons and words.
 */
import { useComputedColorScheme } from '@mantine/core';

export type Scheme = 'light' | 'dark';

export const SERIES: Record<Scheme, readonly string[]> = {
  // Those that are alike to some eyes (vermillion and orange, both blues) are four places apart.
  light: ['#0072b2', '#c44e00', '#00805e', '#b0518a', '#20262f', '#a06a00', '#3a86c8', '#6f6800'],
  dark: ['#56b4e9', '#f08a4b', '#2fc79a', '#dd93bd', '#f4f6f9', '#f0c14b', '#8fb8ff', '#e6df6a'],
};

/** On and off lengths of the line, one for each series. */
export const DASHES: readonly number[][] = [
  [],
  [9, 4],
  [2, 3],
  [10, 3, 2, 3],
  [10, 3, 2, 3, 2, 3],
  [4, 4],
  [14, 5],
  [2, 6],
];

/** The same of the period before. */
export const DASH_BEFORE: readonly number[] = [4, 3];

const STATES: Record<Scheme, Record<Tone, string>> = {
  light: { good: '#00805e', warn: '#a06a00', bad: '#c0392b', plain: '#5b6470', info: '#0072b2' },
  dark: { good: '#2fc79a', warn: '#f0c14b', bad: '#ff7b72', plain: '#8b98a9', info: '#56b4e9' },
};

export type Tone = 'good' | 'warn' | 'bad' | 'plain' | 'info';

export interface Palette {
  scheme: Scheme;
  /** Colour of the series at a place; a tone where its meaning has one. */
  series: (index: number, tone?: Tone) => string;
  ink: string;
  faint: string;
  grid: string;
  surface: string;
}

const CHROME: Record<Scheme, Omit<Palette, 'scheme' | 'series'>> = {
  light: { ink: '#161d29', faint: '#566172', grid: '#e6eaf0', surface: '#ffffff' },
  dark: { ink: '#e7ebf1', faint: '#9aa6b7', grid: '#222b37', surface: '#131922' },
};

const palettes: Record<Scheme, Palette> = { light: paletteOf('light'), dark: paletteOf('dark') };

export function paletteOf(scheme: Scheme): Palette {
  const series = (index: number, tone?: Tone) =>
    tone ? STATES[scheme][tone] : (SERIES[scheme][index % SERIES[scheme].length] ?? '#888888');
  return { scheme, series, ...CHROME[scheme] };
}

export function usePalette(): Palette {
  return palettes[useComputedColorScheme('light')];
}
