import { type Tone, usePalette } from './palette.ts';
import style from './Sparkline.module.css';

/** The course of a figure without axes: it shows the shape, the figure beside it tells the value. */
export function Sparkline({ values, tone }: { values: readonly (number | null)[]; tone?: Tone | undefined }) {
  const palette = usePalette();
  const known = values.map((value) => value ?? 0);
  // Where nothing happened there is a line, but none that draws the eye.
  const color = known.some((value) => value > 0) ? palette.series(0, tone) : palette.grid;
  if (known.length < 2) return <span className={style.room} />;
  const most = Math.max(...known, 1e-9);
  const points = known.map((value, at) => [(at / (known.length - 1)) * 100, 26 - (value / most) * 24] as const);
  const line = points.map(([x, y], at) => `${at ? 'L' : 'M'}${x.toFixed(2)} ${y.toFixed(2)}`).join('');
  return (
    <svg className={style.room} viewBox="0 0 100 28" preserveAspectRatio="none" aria-hidden="true">
      <path d={`${line}L100 28L0 28Z`} fill={color} opacity={0.12} />
      <path d={line} fill="none" stroke={color} strokeWidth={1.5} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
