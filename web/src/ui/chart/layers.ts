import type { Figures, Kind } from './model.ts';

export interface Layer {
  of: Figures;
  /** As high as it is drawn. */
  values: (number | null)[];
}

/**
 * What is drawn, in the order in which it is drawn.
 *
 * Bars stand on each other: the topmost, which reaches highest, comes first and the others over it. The period before
 * stands on none of them: it is a line over all.
 */
export function layersOf(kind: Kind, series: readonly Figures[]): Layer[] {
  const bars = kind === 'bars' ? series.filter((one) => !one.before) : [];
  const lines = series.filter((one) => !bars.includes(one)).map((of) => ({ of, values: [...of.values] }));
  const stacked: Layer[] = [];
  for (const of of bars) {
    const below = stacked.at(-1)?.values;
    stacked.push({ of, values: of.values.map((value, at) => (value ?? 0) + (below?.[at] ?? 0)) });
  }
  return [...stacked.reverse(), ...lines];
}
