/**
 * The chart of the dashboard: figures over time.
 *
 * uPlot draws it on a canvas, and what a canvas lacks is here: a tooltip, a cursor by keyboard that is read aloud, and the
 * same figures as a table. Dragging zooms the whole page; the cursors of all charts move together.
 */
import { useCallback, useEffect, useId, useMemo, useRef, useState } from 'react';
import type uPlot from 'uplot';
import { pause, resume } from '../time/now.ts';
import { useMoment, useView, useWiden, useZoom } from '../view/view.ts';
import { draw } from './chart/draw.ts';
import { FiguresTable } from './chart/FiguresTable.tsx';
import { Legend } from './chart/Legend.tsx';
import type { ChartData, Figures, Kind } from './chart/model.ts';
import { Tooltip } from './chart/Tooltip.tsx';
import { IconChartLine, IconTable } from './icons.ts';
import { Message } from './Message.tsx';
import { usePalette } from './palette.ts';
import style from './TimeChart.module.css';

export type { ChartData, Figures } from './chart/model.ts';

interface TimeChartProps {
  /** What it shows, for those who do not see it. */
  label: string;
  data: ChartData;
  /** How a figure is written. */
  format: (value: number | null) => string;
  kind?: Kind;
  /** Pixels. */
  height?: number;
}

export function TimeChart({ label, data, format, kind = 'line', height = 220 }: TimeChartProps) {
  const view = useView();
  const zoom = useZoom();
  const widen = useWiden();
  const moment = useMoment();
  const palette = usePalette();
  const id = useId();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [asTable, setAsTable] = useState(false);
  const shown = useMemo<Figures[]>(() => data.series.filter((one) => !hidden.has(one.label)), [data.series, hidden]);

  const range = view.span;
  useEffect(() => {
    if (!place.current || asTable) return;
    const drawn = draw(
      place.current,
      { times: data.times, series: shown, all: data.series },
      {
        kind,
        height,
        palette,
        zone: view.zone,
        format,
        range,
        onZoom: zoom,
        onCursor: setAt,
      },
    );
    plot.current = drawn.plot;
    return () => {
      plot.current = null;
      drawn.destroy();
    };
  }, [data, shown, kind, height, palette, view.zone, format, range, zoom, asTable]);

  useEffect(() => () => resume(id), [id]);

  const move = useCallback(
    (event: React.KeyboardEvent) => {
      const last = data.times.length - 1;
      const steps: Record<string, number> = {
        ArrowLeft: (at ?? last + 1) - 1,
        ArrowRight: (at ?? -1) + 1,
        Home: 0,
        End: last,
      };
      const next = steps[event.key];
      if (event.key === 'Enter' && at !== null) {
        const width = (range.to - range.from) / 4;
        const middle = data.times[at] ?? range.from;
        zoom({ from: middle - width / 2, to: middle + width / 2 });
      } else if (next === undefined || !plot.current) return;
      else {
        const to = Math.max(0, Math.min(last, next));
        plot.current.setCursor({ left: plot.current.valToPos(data.times[to] ?? 0, 'x'), top: 10 });
      }
      event.preventDefault();
    },
    [at, data.times, range, zoom],
  );

  if (data.times.length === 0) return <Message title="No figures in this stretch of time" />;
  const time = at === null ? undefined : data.times[at];
  const told =
    time === undefined
      ? ''
      : `${moment(time)}: ${shown.map((one) => `${one.label} ${format(one.values[at ?? 0] ?? null)}`).join(', ')}`;
  return (
    <figure className={style.chart} aria-label={label}>
      <div className={style.top}>
        <Legend series={data.series} hidden={hidden} palette={palette} kind={kind} onChange={setHidden} />
        <button type="button" className={style.switch} aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? <IconChartLine size={15} aria-hidden="true" /> : <IconTable size={15} aria-hidden="true" />}
          <span className={style.word}>{asTable ? 'Chart' : 'Table'}</span>
        </button>
      </div>
      {asTable ? (
        <FiguresTable label={label} data={data} format={format} height={height} />
      ) : (
        // biome-ignore lint/a11y/noStaticElementInteractions: hovering only holds the page still
        <div
          className={style.hover}
          onMouseEnter={() => pause(id)}
          onMouseLeave={() => resume(id)}
          onDoubleClick={widen}
        >
          <div
            ref={place}
            className={style.place}
            style={{ minHeight: height }}
            role="application"
            aria-roledescription="chart"
            aria-label={`${label}. Arrow keys move through time, Enter zooms in. The figures are also there as a table.`}
            // biome-ignore lint/a11y/noNoninteractiveTabindex: the cursor is moved by keyboard
            tabIndex={0}
            onFocus={() => pause(id)}
            onKeyDown={move}
            onBlur={() => {
              resume(id);
              setAt(null);
            }}
          />
          {at !== null && time !== undefined && plot.current && (
            <Tooltip
              plot={plot.current}
              at={at}
              title={moment(time)}
              series={shown}
              all={data.series}
              palette={palette}
              kind={kind}
              format={format}
            />
          )}
          <p className="unseen" aria-live="polite">
            {told}
          </p>
        </div>
      )}
    </figure>
  );
}
