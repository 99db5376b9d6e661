import { type Tone, usePalette } from './palette.ts';
import { runsOf } from './runs.ts';
import style from './Sparkline.module.css';

/**
 * The course of a figure without axes: it shows the shape, the figure beside it tells the value.
 *
 * One value for each step of the range; where one is null nothing is known, and the line has a gap.
 */
export function Sparkline({ values, tone }: { values: readonly (number | null)[]; tone?: Tone | undefined }) {
  const palette = usePalette();
  if (values.length < 2 || values.every((value) => value === null)) return <span className={style.room} />;
  // Where nothing happened there is a line, but none that draws the eye.
  const color = values.some((value) => value !== null && value > 0) ? palette.series(0, tone) : palette.grid;
  const lines = runsOf(values);
  return (
    <svg className={style.room} viewBox="0 0 100 28" preserveAspectRatio="none" aria-hidden="true">
      <path
        d={lines.map(({ line, from, to }) => `${line}L${to} 28L${from} 28Z`).join('')}
        fill={color}
        opacity={0.12}
      />
      <path
        d={lines.map(({ line }) => line).join('')}
        fill="none"
        stroke={color}
        strokeWidth={1.5}
        strokeLinecap="round"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}
