/** The app's own metrics, each at a glance, and those that Custodes measures by itself. */
import { SegmentedControl } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { exported } from '../../api/exported.ts';
import { useRows } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { count, quantity } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconChartLine } from '../../ui/icons.ts';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint, installUrl } from '../../ui/Snippet.tsx';
import { Sparkline } from '../../ui/Sparkline.tsx';
import { lasting } from '../../view/search.ts';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import style from './Metrics.module.css';
import { type Course, GLANCE, valuesOf } from './model.ts';
import type { MetricsSearch } from './routes.ts';

const CHOICES = [
  { value: '', label: 'Of the app' },
  { value: 'built-in', label: 'Built in' },
  { value: 'all', label: 'All' },
];

/** Rows of one answer: each is a question of its own to the store. */
const ROWS = 50;

/** Whether one figure tells of a metric: of a level in several series it does not. */
const isOne = (row: Course) => row.kind !== 'gauge' || row.series <= 1;

export function Metrics() {
  const { whose }: MetricsSearch = useSearch({ strict: false });
  const set = useSetSearch();
  const { when } = useView();
  const moment = useMoment();
  const own = whose === 'all' ? {} : { own: whose !== 'built-in' };
  const { rows, hasMore, loadMore, asked } = useRows('/system-metrics/courses', { limit: ROWS, ...own });
  const columns = useMemo<Column<Course>[]>(
    () => [
      {
        id: 'name',
        header: 'Metric',
        cell: (row) => (
          <span className="mono" title={row.name}>
            {row.name}
          </span>
        ),
        value: (row) => row.name,
      },
      { id: 'kind', header: 'Kind', cell: (row) => row.kind, value: (row) => row.kind, width: 96 },
      {
        id: 'value',
        header: 'Latest',
        // Levels of several series are several figures: the last one written would stand for none of them.
        cell: (row) => (isOne(row) ? quantity(row.value) : <span className="faint">of each</span>),
        value: (row) => row.value,
        width: 96,
        align: 'right',
      },
      {
        id: 'aggregation',
        header: 'Which',
        cell: (row) => <span className="faint">{GLANCE[row.aggregation] ?? row.aggregation}</span>,
        value: (row) => row.aggregation,
        width: 64,
      },
      {
        id: 'course',
        header: 'Course',
        cell: (row) => (
          <div className={style.spark}>{isOne(row) && <Sparkline values={valuesOf(when, row, row.points)[1]} />}</div>
        ),
        width: 180,
      },
      {
        id: 'series',
        header: 'Series',
        cell: (row) => count(row.series),
        value: (row) => row.series,
        width: 76,
        align: 'right',
      },
      { id: 'tenant', header: 'Tenant', cell: (row) => row.tenant, value: (row) => row.tenant, width: 96 },
      {
        id: 'last_seen',
        header: 'Last written, to the hour',
        cell: (row) => moment(row.last_seen, 'minute'),
        value: (row) => row.last_seen,
        width: 164,
      },
    ],
    [when, moment],
  );
  return (
    <Page
      title="Metrics"
      part={whose ? CHOICES.find(({ value }) => value === whose)?.label : undefined}
      back={
        <Link to="/" search={lasting as never}>
          Overview
        </Link>
      }
    >
      <Panel
        title={whose ? (whose === 'all' ? 'All metrics' : 'Built-in metrics') : 'Metrics of the app'}
        note="a counter by its sum over the time range, a gauge by its last value, a histogram by the p95 of the last step"
        of={asked}
        flush
        actions={
          <SegmentedControl
            size="xs"
            data={CHOICES}
            value={whose ?? ''}
            aria-label="Whose metrics"
            onChange={(to) => set({ whose: to || undefined })}
          />
        }
        empty={rows.length === 0}
        whenEmpty={
          <Hint
            icon={<IconChartLine size={28} />}
            title="The app measures nothing yet"
            text="Count, set or observe anything; it is here within ten seconds:"
            snippet={`custodes.metrics.count("orders.created", labels={"plan": "pro"})\ncustodes.metrics.gauge("queue.depth", 17)\ncustodes.metrics.observe("checkout.seconds", 0.42)\n\n# from another language\ncurl -X POST ${installUrl(boot.root)}/api/admin/enterprise/ingest/metrics \\\n  -H "X-API-Key: $CUSTODES_KEY" -H "Content-Type: application/json" \\\n  -d '{"items": [{"name": "orders.created", "kind": "counter", "value": 1}]}'`}
          />
        }
      >
        <DataTable
          label="Metrics"
          columns={columns}
          rows={rows}
          rowId={(row) => `${row.tenant}/${row.name}`}
          name="metrics"
          hasMore={hasMore}
          loadMore={loadMore}
          least={980}
          everything={exported('system-metrics', when)}
          whole="all that is kept of this stretch"
          link={(row, children) => (
            <Link
              to="/metrics/$name"
              params={{ name: row.name } as never}
              search={((kept: Record<string, unknown>) => ({ ...lasting(kept), tenant: row.tenant })) as never}
            >
              {children}
            </Link>
          )}
        />
      </Panel>
    </Page>
  );
}
