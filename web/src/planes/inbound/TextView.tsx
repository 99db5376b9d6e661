/** Text of any length: only the lines in sight are in the page. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef } from 'react';
import { Scroll } from '../../ui/Scroll.tsx';
import style from './BytesView.module.css';
import { lineStarts } from './bytes.ts';

/** Height of a line, pixels. */
const ROW = 20;

export function TextView({ text, label }: { text: string; label: string }) {
  const scroll = useRef<HTMLElement>(null);
  const starts = useMemo(() => lineStarts(text), [text]);
  const lines = useVirtualizer({
    count: starts.length - 1,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: 20,
  });
  return (
    <Scroll ref={scroll} className={style.scroll} aria-label={label}>
      <div className={style.all} style={{ height: lines.getTotalSize() }}>
        {lines.getVirtualItems().map(({ index, start }) => (
          <div key={index} className={style.line} style={{ transform: `translateY(${start}px)` }}>
            {text.slice(starts[index], starts[index + 1]).replace(/\n$/, '')}
          </div>
        ))}
      </div>
    </Scroll>
  );
}
