/** One metric over the range: as one line, or one for each value of a label; behind it the period before. */
import { Button, Select } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useParams, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo, useState } from 'react';
import { exported } from '../../api/exported.ts';
import { get, useTimed } from '../../api/hooks.ts';
import { quantity } from '../../time/format.ts';
import { earlier } from '../../ui/chart/steps.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconBell } from '../../ui/icons.ts';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { May } from '../../ui/May.tsx';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Sparkline } from '../../ui/Sparkline.tsx';
import { type ChartData, type Figures, TimeChart } from '../../ui/TimeChart.tsx';
import { lasting } from '../../view/search.ts';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import style from './Metrics.module.css';
import { AGGREGATIONS, aggregationOf, type Kind, nameOf, PERCENTILES, type Series, valuesOf } from './model.ts';
import type { MetricSearch } from './routes.ts';

/** Lines that are drawn at most: more cannot be told apart. */
const DRAWN = 8;

/** Names that are Custodes' own. */
const BUILT_IN = /^(custodes|process|system)\./;

export function MetricPage() {
  const { name = '' } = useParams({ strict: false }) as { name?: string };
  const { tenant }: MetricSearch = useSearch({ strict: false });
  const whose = tenant ? { tenant } : {};
  // What makes sense of every kind tells which kind it is, and how much was measured.
  const asked = useTimed('/system-metrics/series', { name, aggregation: 'count', merge: true, ...whose });
  const kind = asked.data?.kind ?? null;
  const measured = asked.data?.lines[0]?.points.reduce((all, point) => all + point.value, 0) ?? 0;
  return (
    <Page
      title={name}
      by={['tenant', 'by']}
      back={
        <Link
          to="/metrics"
          search={
            ((kept: Record<string, unknown>) => ({
              ...lasting(kept),
              whose: BUILT_IN.test(name) ? 'built-in' : undefined,
            })) as never
          }
        >
          All metrics
        </Link>
      }
      actions={
        <May operation="alerts_create_rule">
          <Button
            size="xs"
            variant="default"
            leftSection={<IconBell size={15} aria-hidden="true" />}
            renderRoot={(props) => (
              <Link
                to="/settings/alert-rules"
                search={
                  ((kept: Record<string, unknown>) => ({
                    ...lasting(kept),
                    edit: 'new',
                    metric: name,
                    tenant,
                    as: kind === 'histogram' ? 'p95' : kind === 'counter' ? 'rate' : 'last',
                  })) as never
                }
                {...props}
              />
            )}
          >
            New alert rule
          </Button>
        </May>
      }
    >
      {kind ? (
        <Known name={name} kind={kind} whose={whose} measured={measured} />
      ) : (
        <Panel title="Course" of={asked} empty={asked.data !== undefined}>
          {null}
        </Panel>
      )}
    </Page>
  );
}

interface KnownProps {
  name: string;
  kind: Kind;
  whose: { tenant?: string };
  measured: number;
}

function Known({ name, kind, whose, measured }: KnownProps) {
  const { as, by }: MetricSearch = useSearch({ strict: false });
  const set = useSetSearch();
  const aggregation = aggregationOf(kind, as);
  const glance = aggregation === 'percentiles' ? 'p95' : aggregation;
  const apart = useTimed('/system-metrics/series', { name, aggregation: glance, ...whose });
  const labels = useMemo(
    () => [...new Set((apart.data?.lines ?? []).flatMap((line) => Object.keys(line.labels)))].sort(),
    [apart.data],
  );
  const choices = [
    { value: '', label: 'All in one line' },
    ...(labels.length > 0 ? [{ value: 'series', label: 'Each series apart' }] : []),
    ...labels.map((label) => ({ value: `label ${label}`, label: `By ${label}` })),
  ];
  return (
    <>
      <div className={style.filters}>
        <Select
          size="xs"
          aria-label="What of it"
          data={[...AGGREGATIONS[kind]]}
          value={aggregation}
          allowDeselect={false}
          onChange={(to) => set({ as: to === AGGREGATIONS[kind][0]?.value ? undefined : (to ?? undefined) })}
        />
        <Select
          size="xs"
          aria-label="Which lines"
          data={choices}
          value={choices.some((one) => one.value === by) ? (by ?? '') : ''}
          allowDeselect={false}
          disabled={aggregation === 'percentiles' || labels.length === 0}
          onChange={(to) => set({ by: to || undefined })}
        />
      </div>
      {aggregation === 'percentiles' ? (
        <Percentiles name={name} whose={whose} />
      ) : (
        <Lines name={name} aggregation={aggregation} by={by} whose={whose} />
      )}
      <Panel title="Series" note={`each by its labels: ${glance}`} of={apart} flush>
        <SeriesTable key={glance} answer={apart.data} aggregation={glance} name={name} whose={whose} />
      </Panel>
      <Panel title="About it">
        <KeyValue
          of={[
            ['Kind', kind],
            ['Tenant', whose.tenant ?? 'all that you may see'],
            ['Measurements', quantity(measured)],
            ['Labels', labels.join(', ') || 'none'],
          ]}
        />
      </Panel>
    </>
  );
}

interface LinesProps {
  name: string;
  aggregation: string;
  by: string | undefined;
  whose: { tenant?: string };
}

function Lines({ name, aggregation, by, whose }: LinesProps) {
  const view = useView();
  const label = by?.startsWith('label ') ? by.slice('label '.length) : undefined;
  const merge = by === undefined || (label === undefined && by !== 'series');
  const query = { name, aggregation, merge, ...(label ? { by: [label] } : {}), ...whose };
  const asked = useTimed('/system-metrics/series', query);
  const then = useTimed(
    '/system-metrics/series',
    { name, aggregation, merge: true, ...whose },
    { which: 'before', enabled: view.before !== null && merge },
  );
  const old = view.before && merge ? then.data : undefined;
  const data = useMemo(
    () => chartOf(view.when, view.before, asked.data ? [[asked.data, aggregation]] : [], old, aggregation),
    [view.when, view.before, asked.data, old, aggregation],
  );
  const hidden = Math.max(0, (asked.data?.lines.length ?? 0) - DRAWN) + (asked.data?.hidden ?? 0);
  return (
    <Panel
      title="Course"
      note={hidden > 0 ? `the first ${DRAWN} lines; ${hidden} more are not drawn` : undefined}
      of={asked}
      empty={asked.data?.lines.length === 0}
    >
      <TimeChart label={`${name} over time`} data={data} format={quantity} height={260} />
    </Panel>
  );
}

function Percentiles({ name, whose }: { name: string; whose: { tenant?: string } }) {
  const view = useView();
  const about = { name, merge: true, ...whose };
  const p50 = useTimed('/system-metrics/series', { ...about, aggregation: 'p50' });
  const p95 = useTimed('/system-metrics/series', { ...about, aggregation: 'p95' });
  const p99 = useTimed('/system-metrics/series', { ...about, aggregation: 'p99' });
  const then = useTimed(
    '/system-metrics/series',
    { ...about, aggregation: 'p95' },
    { which: 'before', enabled: view.before !== null },
  );
  const old = view.before ? then.data : undefined;
  const data = useMemo(() => {
    const answers = [p50.data, p95.data, p99.data];
    const known = answers.flatMap((one, at) => (one ? [[one, PERCENTILES[at] ?? ''] as [Series, string]] : []));
    return chartOf(view.when, view.before, known.length === 3 ? known : [], old, 'p95');
  }, [view.when, view.before, p50.data, p95.data, p99.data, old]);
  return (
    <Panel
      title="Course"
      note="p95: 95 % of the measurements were at most this"
      of={[p50, p95, p99]}
      empty={p95.data?.lines.length === 0}
    >
      <TimeChart label={`Percentiles of ${name} over time`} data={data} format={quantity} height={260} />
    </Panel>
  );
}

/** A line for each line of the answers, and one of the period before. */
function chartOf(
  when: { since: string; until: string },
  before: { since: string; until: string } | null,
  answers: readonly (readonly [Series, string])[],
  old: Series | undefined,
  figure: string,
): ChartData {
  const series: Figures[] = [];
  let times: number[] = [];
  for (const [answer, none] of answers) {
    for (const { labels, points } of answer.lines.slice(0, DRAWN)) {
      const [steps, values] = valuesOf(when, answer, points);
      times = steps;
      series.push({ label: nameOf(labels, none), values });
    }
  }
  const first = answers[0]?.[0];
  if (first && before && old && times.length > 0) {
    const now = { ...when, step_seconds: first.step_seconds };
    const then = { ...before, step_seconds: old.step_seconds };
    const known = earlier(times, now, then, old.lines[0]?.points ?? []);
    if (known) {
      const none = valuesOf(when, old, [])[1][0] ?? null;
      series.push({ label: `${figure} before`, before: true, values: known.map((point) => point?.value ?? none) });
    }
  }
  return { times, series };
}

type Line = Series['lines'][number];

interface SeriesTableProps {
  answer: Series | undefined;
  aggregation: string;
  name: string;
  whose: { tenant?: string };
}

function SeriesTable({ answer, aggregation, name, whose }: SeriesTableProps) {
  const { when, bounds, zone } = useView();
  const [wanted, setWanted] = useState(false);
  // One answer holds so many lines; who goes to the end of the table gets those behind them.
  const rest = useInfiniteQuery({
    queryKey: ['/system-metrics/series', 'rest', name, aggregation, whose, bounds, zone],
    enabled: wanted,
    initialPageParam: answer?.lines.length ?? 0,
    queryFn: ({ pageParam, signal }) =>
      get('/system-metrics/series', { name, aggregation, ...whose, ...when, skip: pageParam }, { signal }),
    getNextPageParam: ({ hidden, lines }, _, skipped) => (hidden > 0 ? skipped + lines.length : null),
  });
  const { hasNextPage, isFetching, fetchNextPage, data: more } = rest;
  const rows = useMemo(() => {
    // They are ranked by a value that moves: what has come up meanwhile is not shown twice.
    const all = [answer, ...(more?.pages ?? [])].flatMap((one) => one?.lines ?? []);
    return [...new Map(all.reverse().map((line) => [pairs(line.labels), line])).values()].reverse();
  }, [answer, more]);
  const hidden = more ? (more.pages.at(-1)?.hidden ?? 0) : (answer?.hidden ?? 0);
  const loadMore = useCallback(() => {
    if (!more) setWanted(true);
    else if (hasNextPage && !isFetching) void fetchNextPage();
  }, [more, hasNextPage, isFetching, fetchNextPage]);
  const moment = useMoment();
  const columns = useMemo<Column<Line>[]>(() => {
    const last = (row: Line) => row.points.at(-1);
    const values = (row: Line) => row.points.map((point) => point.value);
    return [
      {
        id: 'labels',
        header: 'Labels',
        cell: (row) => <span title={nameOf(row.labels, 'none')}>{pairs(row.labels) || 'no labels'}</span>,
        value: (row) => pairs(row.labels),
      },
      {
        id: 'last',
        header: 'Last',
        cell: (row) => quantity(last(row)?.value),
        value: (row) => last(row)?.value ?? null,
        width: 100,
        align: 'right',
      },
      {
        id: 'min',
        header: 'Least',
        cell: (row) => quantity(Math.min(...values(row))),
        value: (row) => Math.min(...values(row)),
        width: 100,
        align: 'right',
      },
      {
        id: 'max',
        header: 'Greatest',
        cell: (row) => quantity(Math.max(...values(row))),
        value: (row) => Math.max(...values(row)),
        width: 100,
        align: 'right',
      },
      {
        id: 'course',
        header: 'Course',
        cell: (row) => (
          <div className={style.spark}>
            <Sparkline values={answer ? valuesOf(when, answer, row.points)[1] : []} />
          </div>
        ),
        width: 200,
      },
      {
        id: 'at',
        header: 'Last step',
        cell: (row) => moment(last(row)?.at ?? when.until),
        value: (row) => last(row)?.at ?? '',
        width: 184,
      },
    ];
  }, [answer, when, moment]);
  return (
    <DataTable
      label="Series"
      columns={columns}
      rows={rows}
      hasMore={hidden > 0}
      loadMore={loadMore}
      total={{ count: rows.length + hidden, exact: true }}
      rowId={(row) => pairs(row.labels)}
      name={`metric-${name}`.replace(/[^\w-]/g, '-').slice(0, 60)}
      least={840}
      height={360}
      everything={exported('system-metrics', { name, ...when, ...whose })}
      whole="all that is kept of this stretch"
    />
  );
}

function pairs(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}: ${value}`)
    .join(', ');
}
