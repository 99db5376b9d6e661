import type uPlot from 'uplot';
import type { Palette } from '../palette.ts';
import { Swatch } from './Legend.tsx';
import type { Figures, Kind } from './model.ts';
import style from './Tooltip.module.css';

interface TooltipProps {
  plot: uPlot;
  at: number;
  title: string;
  series: readonly Figures[];
  all: readonly Figures[];
  palette: Palette;
  kind: Kind;
  format: (value: number | null) => string;
}

/** The figures at the cursor, on whichever side of it there is room. */
export function Tooltip({ plot, at, title, series, all, palette, kind, format }: TooltipProps) {
  const left = (plot.cursor.left ?? 0) + plot.bbox.left / devicePixelRatio;
  const onTheLeft = left > plot.width * 0.6;
  return (
    <div
      className={style.tip}
      aria-hidden="true"
      style={onTheLeft ? { right: plot.width - left + 12 } : { left: left + 12 }}
    >
      <p className={style.time}>{title}</p>
      <table>
        <tbody>
          {series.map((one) => (
            <tr key={one.label}>
              <td>
                <Swatch palette={palette} kind={kind} figures={one} at={all.indexOf(one)} />
              </td>
              <td className={style.name}>{one.label}</td>
              <td className={style.value}>{format(one.values[at] ?? null)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
