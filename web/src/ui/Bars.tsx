/** Things by size: a bar, a figure, a link. */
import type { ReactNode } from 'react';
import style from './Bars.module.css';
import { type Tone, usePalette } from './palette.ts';

export interface Bar {
  id: string;
  /** A link where there is something to go to. */
  label: ReactNode;
  value: number;
  /** As it is written. */
  shown: string;
  tone?: Tone;
}

export function Bars({ label, bars }: { label: string; bars: readonly Bar[] }) {
  const palette = usePalette();
  const most = Math.max(...bars.map((bar) => bar.value), 1e-9);
  return (
    <ol className={style.bars} aria-label={label}>
      {bars.map((bar) => (
        <li key={bar.id} className={style.bar}>
          <span className={style.label}>{bar.label}</span>
          <span className={style.value}>{bar.shown}</span>
          <svg className={style.track} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
            <rect width="100" height="4" className={style.ground} />
            <rect width={Math.max(0.5, (bar.value / most) * 100)} height="4" fill={palette.series(0, bar.tone)} />
          </svg>
        </li>
      ))}
    </ol>
  );
}
