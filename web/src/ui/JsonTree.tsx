/** JSON to unfold: what is nested deep or long is folded until it is asked for. */
import { useState } from 'react';
import { count } from '../time/format.ts';
import { IconChevronRight } from './icons.ts';
import style from './JsonTree.module.css';
import { Scroll } from './Scroll.tsx';

/** Entries of a list or object that are shown at once. */
const MANY = 100;

/** Characters of a text that are shown at once: a megabyte of it in one line would hold up the page. */
const LONG = 2_000;

interface NodeProps {
  name?: string;
  value: unknown;
  depth: number;
}

export function JsonTree({ value, label = 'JSON' }: { value: unknown; label?: string }) {
  return (
    <Scroll className={style.tree} aria-label={label}>
      <Node value={value} depth={0} />
    </Scroll>
  );
}

function Node({ name, value, depth }: NodeProps) {
  const nested = typeof value === 'object' && value !== null;
  const [open, setOpen] = useState(depth < 2);
  const [most, setMost] = useState(MANY);
  const key = name === undefined ? null : <span className={style.key}>{name}: </span>;
  if (!nested) {
    return (
      <div className={style.leaf}>
        {key}
        <Leaf value={value} />
      </div>
    );
  }
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  const summary = list ? `[${entries.length}]` : `{${entries.length}}`;
  if (entries.length === 0) {
    return (
      <div className={style.leaf}>
        {key}
        {list ? '[]' : '{}'}
      </div>
    );
  }
  return (
    <div>
      <button type="button" className={style.fold} aria-expanded={open} onClick={() => setOpen(!open)}>
        <IconChevronRight size={13} aria-hidden="true" />
        {key}
        <span className={style.summary}>{summary}</span>
      </button>
      {open && (
        <div className={style.inside}>
          {entries.slice(0, most).map(([inner, one]) => (
            <Node key={inner} name={inner} value={one} depth={depth + 1} />
          ))}
          {entries.length > most && (
            <button type="button" className={style.more} onClick={() => setMost(most + MANY * 5)}>
              {entries.length - most} more
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Leaf({ value }: { value: unknown }) {
  const [whole, setWhole] = useState(false);
  const kind = value === null ? 'null' : typeof value;
  if (typeof value !== 'string') return <span data-kind={kind}>{String(value)}</span>;
  if (whole || value.length <= LONG) return <span data-kind={kind}>"{value}"</span>;
  return (
    <span data-kind={kind}>
      "{value.slice(0, LONG)}…"{' '}
      <button type="button" className={style.more} onClick={() => setWhole(true)}>
        {count(value.length - LONG)} more characters
      </button>
    </span>
  );
}
