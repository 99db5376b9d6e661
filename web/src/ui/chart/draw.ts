/** Draws with uPlot. Nothing else of the dashboard knows it. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { tick, type Zone, zoneName } from '../../time/format.ts';
import type { Span } from '../../time/range.ts';
import { DASH_BEFORE, DASHES, type Palette } from '../palette.ts';
import { layersOf } from './layers.ts';
import { type Figures, type Kind, strokeOf } from './model.ts';

interface Look {
  kind: Kind;
  height: number;
  palette: Palette;
  zone: Zone;
  format: (value: number | null) => string;
  range: Span;
  onZoom: (span: Span) => void;
  onCursor: (at: number | null) => void;
}

interface Drawn {
  plot: uPlot;
  destroy: () => void;
}

/** Shortest stretch that a drag zooms into, milliseconds: shorter ones are clicks. */
const SHORTEST_ZOOM = 1_000;

/** Charts narrower than this, pixels, have room for moments without seconds only; ranges longer than this have those. */
const NARROW = 400;
const MINUTES = 240_000;

/** Least room for the figures of an axis, pixels. */
const NARROWEST = 30;

const FONT = '11px "Inter Variable", system-ui, sans-serif';

export function draw(
  place: HTMLElement,
  data: { times: readonly number[]; series: readonly Figures[]; all: readonly Figures[] },
  look: Look,
): Drawn {
  const layers = layersOf(look.kind, data.series);
  const step = (data.times[1] ?? 0) - (data.times[0] ?? 0);
  const options: uPlot.Options = {
    width: Math.max(120, place.clientWidth),
    height: look.height,
    ms: 1,
    tzDate: (at) => (look.zone === 'local' ? new Date(at) : uPlot.tzDate(new Date(at), zoneName(look.zone))),
    legend: { show: false },
    padding: [8, 26, 0, 0],
    scales: {
      x: { time: true, range: () => [look.range.from, look.range.to] },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] },
    },
    axes: [
      axis(look.palette, {
        values: (_, splits, __, ___, step) => splits.map((at) => tick(at, step, look.zone)),
        space: (plot, _, from, to) => (plot.width < NARROW && to - from > MINUTES ? 46 : 64),
        size: 26,
      }),
      axis(look.palette, {
        values: (_, splits) => splits.map((value) => look.format(value)),
        size: asWideAsItsFigures,
        space: 36,
      }),
    ],
    series: [{}, ...layers.map(({ of }) => line(of, data.all.indexOf(of), look, step))],
    cursor: {
      sync: { key: 'time', setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 7 },
      focus: { prox: 24 },
    },
    hooks: {
      setCursor: [(plot) => look.onCursor(plot.cursor.idx ?? null)],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width <= 0) return;
          const chosen = { from: plot.posToVal(left, 'x'), to: plot.posToVal(left + width, 'x') };
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          if (chosen.to - chosen.from >= SHORTEST_ZOOM) look.onZoom(chosen);
        },
      ],
    },
  };
  const plot = new uPlot(options, [data.times, ...layers.map(({ values }) => values)] as uPlot.AlignedData, place);
  const watcher = new ResizeObserver(() => {
    const width = Math.max(120, place.clientWidth);
    if (width !== plot.width) plot.setSize({ width, height: look.height });
  });
  watcher.observe(place);
  return {
    plot,
    destroy: () => {
      watcher.disconnect();
      plot.destroy();
    },
  };
}

function axis(palette: Palette, more: Partial<uPlot.Axis>): uPlot.Axis {
  return {
    stroke: palette.faint,
    font: FONT,
    grid: { stroke: palette.grid, width: 1 },
    ticks: { show: false },
    ...more,
  };
}

/** Room for the longest figure of the axis, and as much beside it as sets it apart. */
function asWideAsItsFigures(plot: uPlot, values: string[] | null, at: number, cycle: number): number {
  // uPlot asks again until it is content: what was enough before stays.
  if (cycle > 1) return (plot.axes[at] as { _size?: number })._size ?? NARROWEST;
  const font = plot.ctx.font;
  plot.ctx.font = FONT;
  const widths = (values ?? []).map((value) => plot.ctx.measureText(value ?? '').width);
  plot.ctx.font = font;
  return Math.max(NARROWEST, Math.ceil(Math.max(0, ...widths)) + 14);
}

function line(one: Figures, place: number, look: Look, step: number): uPlot.Series {
  const color = strokeOf(one, place, look.kind, look.palette);
  const base = { label: one.label, stroke: color, spanGaps: false };
  if (look.kind === 'bars') {
    if (one.before) return { ...base, width: 1.75, dash: [...DASH_BEFORE], points: { show: false }, paths: steps() };
    return { ...base, fill: color, width: 0, points: { show: false }, paths: bars(step) };
  }
  return {
    ...base,
    width: one.before ? 1.25 : 1.75,
    dash: one.before ? [...DASH_BEFORE] : (DASHES[place % DASHES.length] ?? []),
    ...(look.kind === 'area' && !one.before ? { fill: `${color}22` } : {}),
    // A point that stands alone would not be seen otherwise.
    points: { show: true, size: 5, filter: (plot, at) => alone(plot.data[at] ?? []) },
  };
}

/** Places of the values without a neighbour that they could be joined to. */
function alone(values: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  }
  return found;
}

function bars(step: number): uPlot.Series.PathBuilder {
  const build = uPlot.paths.bars;
  if (!build) throw new Error('uPlot was built without bars');
  // As wide as its step: what is counted in a minute stands over that minute, however wide the chart is.
  return build({ size: [0.82, step > 0 ? Number.POSITIVE_INFINITY : 30, 1], align: 1 });
}

/** A line that keeps its height over the whole of a step, as a bar does. */
function steps(): uPlot.Series.PathBuilder {
  const build = uPlot.paths.stepped;
  if (!build) throw new Error('uPlot was built without steps');
  return build({ align: 1, extend: true });
}
