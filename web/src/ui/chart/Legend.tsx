import { DASHES, type Palette } from '../palette.ts';
import style from './Legend.module.css';
import type { Figures } from './model.ts';

interface LegendProps {
  series: readonly Figures[];
  hidden: ReadonlySet<string>;
  palette: Palette;
  onChange: (hidden: ReadonlySet<string>) => void;
}

/** Which line is which; pressing one hides or shows it. */
export function Legend({ series, hidden, palette, onChange }: LegendProps) {
  function press(label: string): void {
    const next = new Set(hidden);
    if (!next.delete(label)) next.add(label);
    if (next.size < series.length) onChange(next);
  }
  return (
    <ul className={style.legend}>
      {series.map((one, at) => (
        <li key={one.label}>
          <button
            type="button"
            className={style.entry}
            aria-pressed={!hidden.has(one.label)}
            onClick={() => press(one.label)}
          >
            <Swatch palette={palette} figures={one} at={at} />
            {one.label}
          </button>
        </li>
      ))}
    </ul>
  );
}

export function Swatch({ palette, figures, at }: { palette: Palette; figures: Figures; at: number }) {
  const color = figures.before ? palette.faint : palette.series(at, figures.tone);
  const dash = figures.before ? [3, 3] : (DASHES[at % DASHES.length] ?? []);
  return (
    <svg width="18" height="8" aria-hidden="true">
      <line x1="0" y1="4" x2="18" y2="4" stroke={color} strokeWidth="2.5" strokeDasharray={dash.join(' ')} />
    </svg>
  );
}
