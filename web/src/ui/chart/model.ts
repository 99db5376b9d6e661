import type { Palette, Tone } from '../palette.ts';

/** Lines, areas below them, or bars that stand on each other. */
export type Kind = 'line' | 'area' | 'bars';

/** One line or one layer of a chart. */
export interface Figures {
  label: string;
  /** One value for each time; null where nothing is known. */
  values: readonly (number | null)[];
  /** Colour by meaning; otherwise by its place. */
  tone?: Tone;
  /** The period before: drawn faintly behind. */
  before?: boolean;
}

export interface ChartData {
  /** Begin of each step, milliseconds since the epoch, ascending. */
  times: readonly number[];
  series: readonly Figures[];
}

/** Colour of a line or bar: that of the period before must be seen over the bars that it is compared with. */
export function strokeOf(figures: Figures, place: number, kind: Kind, palette: Palette): string {
  if (!figures.before) return palette.series(place, figures.tone);
  return kind === 'bars' ? palette.ink : palette.faint;
}
