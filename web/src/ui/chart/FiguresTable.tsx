import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import { useMoment } from '../../view/view.ts';
import { Scroll } from '../Scroll.tsx';
import style from './FiguresTable.module.css';
import type { ChartData } from './model.ts';

interface FiguresTableProps {
  label: string;
  data: ChartData;
  format: (value: number | null) => string;
  /** Pixels. */
  height: number;
}

const ROW = 28;

/** The figures of a chart as a table, newest first. */
export function FiguresTable({ label, data, format, height }: FiguresTableProps) {
  const moment = useMoment();
  const scroll = useRef<HTMLElement>(null);
  const count = data.times.length;
  const rows = useVirtualizer({ count, getScrollElement: () => scroll.current, estimateSize: () => ROW, overscan: 10 });
  const shown = rows.getVirtualItems();
  const before = shown[0]?.start ?? 0;
  const after = rows.getTotalSize() - (shown.at(-1)?.end ?? 0);
  return (
    <Scroll ref={scroll} className={style.scroll} style={{ height }} aria-label={`${label}, figures`}>
      <table className={style.table} aria-rowcount={count + 1}>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {data.series.map((one) => (
              <th scope="col" key={one.label}>
                {one.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <tr style={{ height: before }} />}
          {shown.map(({ index }) => {
            const at = count - 1 - index;
            return (
              <tr key={at} style={{ height: ROW }} aria-rowindex={index + 2}>
                <th scope="row">{moment(data.times[at] ?? 0)}</th>
                {data.series.map((one) => (
                  <td key={one.label}>{format(one.values[at] ?? null)}</td>
                ))}
              </tr>
            );
          })}
          {after > 0 && <tr style={{ height: after }} />}
        </tbody>
      </table>
    </Scroll>
  );
}
