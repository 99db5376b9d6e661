import { DASH_BEFORE, DASHES, type Palette } from '../palette.ts';
import style from './Legend.module.css';
import { type Figures, type Kind, strokeOf } from './model.ts';

interface LegendProps {
  series: readonly Figures[];
  hidden: ReadonlySet<string>;
  palette: Palette;
  kind: Kind;
  onChange: (hidden: ReadonlySet<string>) => void;
}

/** Which line is which; pressing one hides or shows it. */
export function Legend({ series, hidden, palette, kind, onChange }: LegendProps) {
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
            <Swatch palette={palette} kind={kind} figures={one} at={at} />
            {one.label}
          </button>
        </li>
      ))}
    </ul>
  );
}

interface SwatchProps {
  palette: Palette;
  kind: Kind;
  figures: Figures;
  at: number;
}

/** A piece of what is drawn: of a bar, or of a line with its dashes. */
export function Swatch({ palette, kind, figures, at }: SwatchProps) {
  const color = strokeOf(figures, at, kind, palette);
  if (kind === 'bars' && !figures.before) {
    return (
      <svg width="11" height="11" aria-hidden="true">
        <rect width="11" height="11" rx="2.5" fill={color} />
      </svg>
    );
  }
  const dash = figures.before ? DASH_BEFORE : (DASHES[at % DASHES.length] ?? []);
  return (
    // Wide enough for the longest pattern.
    <svg width="26" height="8" aria-hidden="true">
      <line x1="0" y1="4" x2="26" y2="4" stroke={color} strokeWidth="2" strokeDasharray={dash.join(' ')} />
    </svg>
  );
}
