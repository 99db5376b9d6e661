/** Filters that combine: values with their counts, kept in the URL. */
import { Skeleton } from '@mantine/core';
import { useSearch } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { compact } from '../time/format.ts';
import { texts } from '../view/search.ts';
import { useSetSearch } from '../view/view.ts';
import { settled } from './counted.ts';
import style from './Facets.module.css';
import { IconX } from './icons.ts';

export interface Facet {
  /** Parameter of the URL that holds the chosen values; may be repeated there. */
  param: string;
  title: string;
  /** The counts, the greatest first; none while they are on their way. */
  values?: readonly { value: string; count: number }[];
  /** All values that there can be, in their order; without them the most frequent stand first. */
  known?: readonly string[];
  /** What values are called. */
  labels?: Readonly<Record<string, string>>;
  /** Only one of them can be chosen. */
  one?: boolean;
}

/** Lines that are kept free for values that nobody knows yet. */
const LINES = 4;

/** `failed`: the counts cannot be had; the values that are known can be chosen all the same. */
export function Facets({ facets, failed = false }: { facets: readonly Facet[]; failed?: boolean }) {
  return (
    <div className={style.facets}>
      {facets.map((facet) => (
        <Group key={facet.param} {...facet} failed={failed} />
      ))}
    </div>
  );
}

const NONE: readonly string[] = [];

function Group({ param, title, values, known = NONE, labels, one, failed }: Facet & { failed: boolean }) {
  const search: Record<string, unknown> = useSearch({ strict: false });
  const set = useSetSearch();
  const chosen = texts(search[param]) ?? [];
  // Nothing moves under the mouse when counts come or a value is chosen.
  const [order, setOrder] = useState(known);
  const now = settled(order, values?.map(({ value }) => value) ?? NONE, chosen);
  if (now !== order) setOrder(now);
  const counts = values && new Map(values.map(({ value, count }) => [value, count]));

  function choose(value: string, on: boolean): void {
    const others = one ? [] : chosen.filter((each) => each !== value);
    const next = on ? [...others, value] : others;
    set({ [param]: next.length > 0 ? (one ? next[0] : next) : undefined });
  }

  const open = known === NONE;
  return (
    <fieldset className={style.group} data-open={open || undefined} aria-busy={!values && !failed}>
      <legend>{title}</legend>
      {now.map((value) => {
        const label = labels?.[value] ?? (value || '(none)');
        return (
          <label key={value} className={style.value}>
            <input
              type="checkbox"
              checked={chosen.includes(value)}
              onChange={(event) => choose(value, event.target.checked)}
            />
            <span className={style.name} title={label}>
              {label}
            </span>
            <span className={style.count}>{counts && compact(counts.get(value) ?? 0)}</span>
          </label>
        );
      })}
      {open &&
        !values &&
        !failed &&
        Array.from({ length: Math.max(0, LINES - now.length) }, (_, line) => line).map((line) => (
          <div key={line} className={style.value}>
            <Skeleton height={12} />
          </div>
        ))}
    </fieldset>
  );
}

/** Filters on the left of what they narrow; above it on narrow screens, folded away. */
export function Filtered({ side, children }: { side: ReactNode; children: ReactNode }) {
  return (
    <div className={style.whole}>
      <details className={style.side} open={window.matchMedia('(min-width: 900px)').matches}>
        <summary>Filters</summary>
        {side}
      </details>
      {children}
    </div>
  );
}

/** That counts are of the newest rows only, below the facets. */
export function Bounded({ of }: { of: string }) {
  return <p className={style.note}>{`Counts are of the newest 20,000 ${of}.`}</p>;
}

interface ChipsProps {
  /** What parameters are called. */
  names: Readonly<Record<string, string>>;
  reserve?: boolean;
  /** What values are called, by parameter. */
  labels?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** The filters in force, each with a button that takes it away. `reserve`: they keep their line while there are none. */
export function Chips({ names, reserve, labels = {} }: ChipsProps) {
  const search: Record<string, unknown> = useSearch({ strict: false });
  const set = useSetSearch();
  const chosen = Object.entries(names).flatMap(([param, name]) =>
    (texts(search[param]) ?? []).map((value) => ({ param, name, value })),
  );
  if (chosen.length === 0) return reserve ? <p className={style.chips}>No filter in force</p> : null;
  return (
    <ul className={style.chips} aria-label="Filters in force">
      {chosen.map(({ param, name, value }) => (
        <li key={`${param} ${value}`}>
          <button
            type="button"
            className={style.chip}
            aria-label={`Take away ${name}: ${labels[param]?.[value] ?? value}`}
            onClick={() => {
              const rest = (texts(search[param]) ?? []).filter((one) => one !== value);
              set({ [param]: rest.length > 0 ? rest : undefined });
            }}
          >
            {name}: <b>{labels[param]?.[value] ?? value}</b>
            <IconX size={12} aria-hidden="true" />
          </button>
        </li>
      ))}
      <li>
        <button
          type="button"
          className={style.chip}
          onClick={() => set(Object.fromEntries(Object.keys(names).map((param) => [param, undefined])))}
        >
          Clear all
        </button>
      </li>
    </ul>
  );
}
