import { useMemo } from 'react';
import type { Schemas } from '../../api/client.ts';
import { bytes, compact, duration, percent } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { type Endpoint, spent } from './model.ts';
import { ToPart } from './ToPart.tsx';
import style from './Traffic.module.css';

interface EndpointTableProps {
  label: string;
  name: string;
  endpoints: readonly Endpoint[];
  /** Of all requests: what shares are of. */
  totals: Schemas['StatsModel'] | undefined;
  height: number;
}

export function EndpointTable({ label, name, endpoints, totals, height }: EndpointTableProps) {
  const all = totals ? spent(totals) : 0;
  const columns = useMemo<Column<Endpoint>[]>(() => {
    const time = (id: 'p50' | 'p95' | 'p99' | 'p99_9', header: string): Column<Endpoint> => ({
      id: `${id}_ms`,
      header,
      width: 86,
      align: 'right',
      cell: ({ stats }) => (stats.timed > 0 ? duration(stats.total_ms[id]) : '–'),
      value: ({ stats }) => (stats.timed > 0 ? stats.total_ms[id] : null),
    });
    return [
      {
        id: 'endpoint',
        header: 'Endpoint',
        cell: ({ method, route }) => (
          <>
            <span className={style.method}>{method}</span> {route}
          </>
        ),
        value: ({ method, route }) => `${method} ${route}`,
      },
      {
        id: 'requests',
        header: 'Requests',
        width: 92,
        align: 'right',
        cell: ({ stats }) => compact(stats.count),
        value: ({ stats }) => stats.count,
      },
      time('p50', 'p50'),
      time('p95', 'p95'),
      time('p99', 'p99'),
      time('p99_9', 'p99.9'),
      {
        id: 'max_ms',
        header: 'Longest',
        width: 90,
        align: 'right',
        cell: ({ stats }) => (stats.timed > 0 ? duration(stats.max_ms) : '–'),
        value: ({ stats }) => (stats.timed > 0 ? stats.max_ms : null),
      },
      {
        id: 'time_share',
        header: 'Of all time',
        width: 104,
        align: 'right',
        cell: (one) => <Share of={all > 0 ? spent(one.stats) / all : 0} />,
        value: (one) => (all > 0 ? spent(one.stats) / all : null),
      },
      {
        id: 'error_rate',
        header: 'Errors',
        width: 86,
        align: 'right',
        cell: ({ stats }) => (
          <span className={stats.server_errors > 0 ? style.bad : undefined}>{percent(stats.error_rate)}</span>
        ),
        value: ({ stats }) => stats.error_rate,
      },
      {
        id: 'response_bytes',
        header: 'Sent',
        width: 86,
        align: 'right',
        cell: ({ stats }) => bytes(stats.response_bytes),
        value: ({ stats }) => stats.response_bytes,
      },
    ];
  }, [all]);
  return (
    <DataTable
      label={label}
      name={name}
      columns={columns}
      rows={endpoints}
      rowId={(one) => `${one.method} ${one.route}`}
      height={height}
      least={960}
      link={({ method, route }, children) => (
        <ToPart change={{ part: 'performance', method, route }} title="Its figures alone">
          {children}
        </ToPart>
      )}
    />
  );
}

/** A share of the whole, as a figure with a bar below. */
function Share({ of }: { of: number }) {
  // A wrapped callable runs within requests: its time is in theirs too.
  const width = Math.min(100, of * 100);
  return (
    <span className={style.share}>
      {percent(of)}
      <svg viewBox="0 0 100 3" preserveAspectRatio="none" aria-hidden="true">
        <rect width="100" height="3" className={style.ground} />
        <rect width={width} height="3" className={style.filled} />
      </svg>
    </span>
  );
}
