/** Bytes as they are: offset, hexadecimal, and what of it can be read. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import style from './HexView.module.css';
import { Scroll } from './Scroll.tsx';

/** Bytes in a line. */
const LINE = 16;

/** Height of a line, pixels. */
const ROW = 20;

export function hexLine(bytes: Uint8Array, line: number): { offset: string; hex: string; text: string } {
  const part = bytes.subarray(line * LINE, (line + 1) * LINE);
  const hex = Array.from(part, (byte) => byte.toString(16).padStart(2, '0'));
  const text = Array.from(part, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '·')).join('');
  return {
    offset: (line * LINE).toString(16).padStart(8, '0'),
    hex: `${hex.slice(0, 8).join(' ')}  ${hex.slice(8).join(' ')}`.padEnd(LINE * 3),
    text,
  };
}

export function HexView({ bytes, label = 'Bytes' }: { bytes: Uint8Array; label?: string }) {
  const scroll = useRef<HTMLElement>(null);
  const lines = useVirtualizer({
    count: Math.ceil(bytes.length / LINE),
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: 20,
  });
  return (
    <Scroll ref={scroll} className={style.scroll} aria-label={label}>
      <div className={style.all} style={{ height: lines.getTotalSize() }}>
        {lines.getVirtualItems().map(({ index, start }) => {
          const { offset, hex, text } = hexLine(bytes, index);
          return (
            <div key={index} className={style.line} style={{ transform: `translateY(${start}px)` }}>
              <span className={style.offset}>{offset}</span>
              <span>{hex}</span>
              <span className={style.text}>{text}</span>
            </div>
          );
        })}
      </div>
    </Scroll>
  );
}
