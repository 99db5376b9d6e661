/** Filters over the whole tab: what they are set to is in the URL, and said below with a way to take each away. */
import { Select, TextInput } from '@mantine/core';
import { type FormEvent, useEffect, useState } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { compact } from '../../time/format.ts';
import { Chips } from '../../ui/Facets.tsx';
import { IconInfoCircle, IconSearch } from '../../ui/icons.ts';
import { useSetSearch } from '../../view/view.ts';
import { CLASSES, useFigureQuery, useFilters, useTrafficSearch } from './model.ts';
import { FILTERS } from './search.ts';
import style from './Traffic.module.css';

/** Endpoints that can be chosen from. */
const CHOICES = 200;

export function FilterBar() {
  const filters = useFilters();
  const { part } = useTrafficSearch();
  const set = useSetSearch();
  const tenant = filters.tenant ? { tenant: filters.tenant } : {};
  const all = useTimed('/api-analytics', { ...tenant, endpoints: CHOICES, consumers: 100 });
  const endpoints = all.data?.endpoints ?? [];
  const statuses = Object.entries(all.data?.statuses ?? {});
  const tenants = (all.data?.consumers.tenant ?? []).filter((one) => one.name !== '(other)');
  const of = (first: string) => statuses.reduce((sum, [status, count]) => sum + (status[0] === first ? count : 0), 0);
  return (
    <div className={style.filters}>
      <search className={style.controls} aria-label="Filters">
        <TextFilter />
        <Choice
          param="route"
          values={counted(endpoints.map((one) => [one.route, one.stats.count]))}
          placeholder="Any route"
          wide
        />
        <Choice
          param="method"
          values={counted(endpoints.map((one) => [one.method, one.stats.count]))}
          placeholder="Any method"
        />
        <Choice
          param="status"
          values={CLASSES.map(([value, label]) => ({ value, label: `${label} · ${compact(of(value))}` }))}
          placeholder="Any status"
          whole
        />
        <Choice
          param="min_ms"
          values={['50', '100', '250', '500', '1000', '5000'].map((value) => ({ value, label: `≥ ${value} ms` }))}
          placeholder="Any time"
        />
        {(tenants.length > 0 || filters.tenant) && (
          <Choice
            param="tenant"
            values={counted(tenants.map((one) => [one.name, one.count]))}
            placeholder="Any tenant"
          />
        )}
      </search>
      <Chips
        names={FILTERS as Record<string, string>}
        labels={{ status: Object.fromEntries(CLASSES) }}
        reserve={part === 'calls'}
      />
      <Beside onlyCalls={() => set({ part: 'calls' })} />
    </div>
  );
}

interface ChoiceProps {
  param: 'route' | 'method' | 'status' | 'min_ms' | 'tenant';
  values: { value: string; label: string }[];
  placeholder: string;
  wide?: boolean;
  /** Whether it takes the room that the longest of its choices needs. */
  whole?: boolean;
}

function Choice({ param, values, placeholder, wide, whole }: ChoiceProps) {
  const value = useFilters()[param] ?? null;
  const set = useSetSearch();
  // What the URL says is always among the choices, also when nothing of it happened lately.
  const data =
    value === null || values.some((one) => one.value === value) ? values : [{ value, label: value }, ...values];
  return (
    <Select
      size="xs"
      aria-label={FILTERS[param]}
      placeholder={placeholder}
      data={data}
      value={value}
      searchable
      clearable
      limit={CHOICES}
      nothingFoundMessage="Nothing like this"
      comboboxProps={{ width: 'max-content', position: 'bottom-start' }}
      clearButtonProps={{ 'aria-label': `Any ${FILTERS[param].toLowerCase()}` }}
      className={wide ? style.wide : whole ? style.whole : style.choice}
      onChange={(next) => set({ [param]: next ?? undefined })}
    />
  );
}

function TextFilter() {
  const { text } = useFilters();
  const set = useSetSearch();
  const [typed, setTyped] = useState(text ?? '');
  useEffect(() => setTyped(text ?? ''), [text]);
  function submit(event: FormEvent): void {
    event.preventDefault();
    set({ text: typed.trim() || undefined, ...(typed.trim() ? { part: 'calls' } : {}) });
  }
  return (
    <form onSubmit={submit} className={style.wide}>
      <TextInput
        size="xs"
        data-filter
        aria-label="Text in path, user agent, error, user, key or address"
        placeholder="Path, agent, error, user, address"
        leftSection={<IconSearch size={14} aria-hidden="true" />}
        value={typed}
        maxLength={256}
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
    </form>
  );
}

/** Says which filters the figures do not follow: silence would be taken for an answer. */
function Beside({ onlyCalls }: { onlyCalls: () => void }) {
  const { part } = useTrafficSearch();
  const filters = useFilters();
  const figures = useFigureQuery();
  // Consumers are kept by tenant only.
  const consumers = part === 'consumers';
  const beside = consumers
    ? (Object.keys(filters) as (keyof typeof filters)[]).filter((name) => name !== 'tenant')
    : figures.beside;
  const consumer = !consumers && figures.consumer;
  if (part === 'calls' || part === 'errors' || part === 'scans' || (beside.length === 0 && !consumer)) return null;
  return (
    <p className={style.beside} role="status">
      <IconInfoCircle size={15} aria-hidden="true" />
      <span>
        {consumer && 'Requests of one consumer are counted, their times are not kept apart. '}
        {beside.length > 0 &&
          `${beside.map((name) => FILTERS[name]).join(', ')} ${beside.length > 1 ? 'narrow' : 'narrows'} single calls only, not these figures. `}
      </span>
      <button type="button" onClick={onlyCalls}>
        Show the calls
      </button>
    </p>
  );
}

function counted(pairs: readonly (readonly [string, number])[]): { value: string; label: string }[] {
  const sums = new Map<string, number>();
  for (const [name, count] of pairs) sums.set(name, (sums.get(name) ?? 0) + count);
  return [...sums]
    .sort(([, one], [, other]) => other - one)
    .map(([value, count]) => ({ value, label: `${value} · ${compact(count)}` }));
}
