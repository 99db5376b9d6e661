/** How often what happened when: columns are steps of time, rows are ranges of a figure, the stronger the colour, the more. */
import { useId, useMemo, useState } from 'react';
import { count as written } from '../time/format.ts';
import { ticks } from '../time/ticks.ts';
import { useMoment, useView, useZoom } from '../view/view.ts';
import { FiguresTable } from './chart/FiguresTable.tsx';
import style from './Heatmap.module.css';
import { IconChartLine, IconTable } from './icons.ts';
import { usePalette } from './palette.ts';

interface HeatmapProps {
  label: string;
  /** Begin of each column, milliseconds since the epoch, ascending. */
  times: readonly number[];
  /** Width of a column, milliseconds. */
  step: number;
  /** The ranges, lowest first, as they are written. */
  rows: readonly string[];
  /** Counts by column and row. */
  counts: readonly (readonly number[])[];
  /** Pixels. */
  height?: number;
}

export function Heatmap({ label, times, step, rows, counts, height = 220 }: HeatmapProps) {
  const palette = usePalette();
  const moment = useMoment();
  const zoom = useZoom();
  const id = useId();
  const [at, setAt] = useState<readonly [number, number] | null>(null);
  const [asTable, setAsTable] = useState(false);
  const most = useMemo(() => Math.max(1, ...counts.flat()), [counts]);
  const color = palette.series(0);
  const row = rows.length > 0 ? height / rows.length : height;
  const cell = 100 / Math.max(1, times.length);
  const view = useView();
  const begin = times[0] ?? 0;
  const end = begin + Math.max(1, times.length) * step;

  function find(event: React.MouseEvent<SVGSVGElement>): readonly [number, number] {
    const box = event.currentTarget.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * times.length);
    const level = rows.length - 1 - Math.floor(((event.clientY - box.top) / box.height) * rows.length);
    return [Math.max(0, Math.min(times.length - 1, column)), Math.max(0, Math.min(rows.length - 1, level))];
  }
  const data = {
    times,
    series: rows.map((name, level) => ({ label: name, values: counts.map((column) => column[level] ?? 0) })),
  };
  return (
    <figure className={style.map} aria-labelledby={id}>
      <div className={style.top}>
        <figcaption id={id} className={style.told}>
          {at ? `${moment(times[at[0]] ?? 0)} · ${rows[at[1]]} · ${written(counts[at[0]]?.[at[1]] ?? 0)}` : label}
        </figcaption>
        <button type="button" className={style.switch} aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? <IconChartLine size={15} aria-hidden="true" /> : <IconTable size={15} aria-hidden="true" />}
          {asTable ? 'Chart' : 'Table'}
        </button>
      </div>
      {asTable ? (
        <FiguresTable label={label} data={data} format={written} height={height} />
      ) : (
        <div className={style.body}>
          <div className={style.axis} aria-hidden="true">
            <span>{rows.at(-1)}</span>
            <span>{rows[Math.floor(rows.length / 2)]}</span>
            <span>{rows[0]}</span>
          </div>
          {/* biome-ignore lint/a11y/useKeyWithClickEvents: the same is reached by keyboard through the table */}
          <svg
            className={style.cells}
            viewBox={`0 0 100 ${height}`}
            preserveAspectRatio="none"
            style={{ height }}
            role="img"
            aria-label={`${label}. The figures are also there as a table.`}
            onMouseMove={(event) => setAt(find(event))}
            onMouseLeave={() => setAt(null)}
            onClick={(event) => {
              const from = times[find(event)[0]] ?? 0;
              zoom({ from: from - 2 * step, to: from + 3 * step });
            }}
          >
            {counts.map((column, x) =>
              column.map((count, level) =>
                count > 0 ? (
                  <rect
                    key={`${times[x]} ${rows[level]}`}
                    x={x * cell}
                    y={height - (level + 1) * row}
                    width={cell * 1.02}
                    height={row * 1.02}
                    fill={color}
                    // By the logarithm: one slow call among ten thousand must be seen.
                    opacity={0.12 + 0.88 * (Math.log1p(count) / Math.log1p(most))}
                  />
                ) : null,
              ),
            )}
          </svg>
          <div className={style.times} aria-hidden="true">
            {ticks(begin, end, view.zone).map(([moment, name]) => (
              <span
                key={moment}
                // Before its moment where there is no room behind it.
                data-last={moment - begin > 0.92 * (end - begin) || undefined}
                style={{ left: `${((moment - begin) / (end - begin)) * 100}%` }}
              >
                {name}
              </span>
            ))}
          </div>
        </div>
      )}
    </figure>
  );
}
