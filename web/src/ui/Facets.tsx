/** Filters that combine: values with their counts, kept in the URL. */
import { useSearch } from '@tanstack/react-router';
import { compact } from '../time/format.ts';
import { texts } from '../view/search.ts';
import { useSetSearch } from '../view/view.ts';
import style from './Facets.module.css';
import { IconX } from './icons.ts';

export interface Facet {
  /** Parameter of the URL that holds the chosen values; may be repeated there. */
  param: string;
  title: string;
  values: readonly { value: string; label?: string; count?: number }[];
}

export function Facets({ facets }: { facets: readonly Facet[] }) {
  const search: Record<string, unknown> = useSearch({ strict: false });
  const set = useSetSearch();
  return (
    <div className={style.facets}>
      {facets.map(({ param, title, values }) => {
        const chosen = texts(search[param]) ?? [];
        return (
          <fieldset key={param} className={style.group}>
            <legend>{title}</legend>
            {values.map(({ value, label, count }) => (
              <label key={value} className={style.value}>
                <input
                  type="checkbox"
                  checked={chosen.includes(value)}
                  onChange={(event) => {
                    const next = event.target.checked ? [...chosen, value] : chosen.filter((one) => one !== value);
                    set({ [param]: next.length > 0 ? next : undefined });
                  }}
                />
                <span className={style.name} title={label ?? value}>
                  {label ?? value}
                </span>
                {count !== undefined && <span className={style.count}>{compact(count)}</span>}
              </label>
            ))}
          </fieldset>
        );
      })}
    </div>
  );
}

/** The filters in force, each with a button that takes it away. */
export function Chips({ names }: { names: Readonly<Record<string, string>> }) {
  const search: Record<string, unknown> = useSearch({ strict: false });
  const set = useSetSearch();
  const chosen = Object.entries(names).flatMap(([param, name]) =>
    (texts(search[param]) ?? []).map((value) => ({ param, name, value })),
  );
  if (chosen.length === 0) return null;
  return (
    <ul className={style.chips} aria-label="Filters in force">
      {chosen.map(({ param, name, value }) => (
        <li key={`${param} ${value}`}>
          <button
            type="button"
            className={style.chip}
            aria-label={`Take away ${name}: ${value}`}
            onClick={() => {
              const rest = (texts(search[param]) ?? []).filter((one) => one !== value);
              set({ [param]: rest.length > 0 ? rest : undefined });
            }}
          >
            {name}: <b>{value}</b>
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
