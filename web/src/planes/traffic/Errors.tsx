/** Kinds of errors: exceptions with the same cause, told apart by where they were raised. */
import { SegmentedControl } from '@mantine/core';
import { lazy, Suspense, useMemo } from 'react';
import { exported } from '../../api/exported.ts';
import { useRows } from '../../api/hooks.ts';
import { ago, count, millis } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { IconCircleCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { PageWaiting } from '../../ui/PageStates.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import { type ErrorGroup, useFilters, useTrafficSearch } from './model.ts';

const ErrorDetail = lazy(() => import('./ErrorDetail.tsx').then((module) => ({ default: module.ErrorDetail })));

const CHOICES = [
  { value: 'all', label: 'All' },
  { value: 'open', label: 'Open' },
  { value: 'resolved', label: 'Resolved' },
];

export function Errors() {
  const { state } = useTrafficSearch();
  const filters = useFilters();
  const { now, when } = useView();
  const moment = useMoment();
  const set = useSetSearch();
  const wanted = {
    since: when.since,
    ...(state ? { state } : {}),
    ...(filters.tenant ? { tenant: filters.tenant } : {}),
  };
  const { rows, hasMore, loadMore, asked } = useRows('/api-errors', wanted, { timed: false });
  const shown = useMemo(
    () =>
      rows.filter(
        (group) =>
          (!filters.route || group.route === filters.route) && (!filters.method || group.method === filters.method),
      ),
    [rows, filters.route, filters.method],
  );
  const columns = useMemo<Column<ErrorGroup>[]>(
    () => [
      {
        id: 'error',
        header: 'Error',
        cell: (group) => group.title,
        value: (group) => group.title,
      },
      {
        id: 'count',
        header: 'Occurred',
        width: 96,
        align: 'right',
        cell: (group) => `${count(group.count)} ×`,
        value: (group) => group.count,
      },
      {
        id: 'last_seen_at',
        header: 'Last seen',
        width: 112,
        cell: (group) => <When at={group.last_seen_at} now={now} title={moment(group.last_seen_at, 'iso')} />,
        value: (group) => group.last_seen_at,
      },
      {
        id: 'endpoint',
        header: 'First at',
        width: 220,
        cell: (group) => `${group.method} ${group.route ?? '(unmatched)'}`,
        value: (group) => `${group.method} ${group.route ?? '(unmatched)'}`,
      },
      {
        id: 'first_seen_at',
        header: 'First seen',
        width: 112,
        cell: (group) => <When at={group.first_seen_at} now={now} title={moment(group.first_seen_at, 'iso')} />,
        value: (group) => group.first_seen_at,
      },
      {
        id: 'state',
        header: 'State',
        width: 116,
        cell: (group) => <StatusBadge state={group.state} />,
        value: (group) => group.state,
      },
    ],
    [now, moment],
  );
  return (
    <>
      <Panel
        title="Error groups"
        note="those that occurred in this stretch of time, the latest first"
        of={asked}
        empty={shown.length === 0}
        whenEmpty={
          <Message
            icon={<IconCircleCheck size={28} />}
            title={state === 'resolved' ? 'No resolved error' : 'No exception'}
            text="An exception that leaves the app shows up here with its traceback."
          />
        }
        flush
        actions={
          <SegmentedControl
            size="xs"
            aria-label="State"
            data={CHOICES}
            value={state ?? 'all'}
            onChange={(next) => set({ state: next === 'all' ? undefined : next })}
          />
        }
      >
        <DataTable
          label="Error groups"
          name="error-groups"
          columns={columns}
          rows={shown}
          rowId={(group) => group.id}
          hasMore={hasMore}
          loadMore={loadMore}
          // By endpoint they are chosen here only: the server would send more than is shown.
          everything={filters.route || filters.method ? undefined : exported('api-errors', wanted)}
          height={640}
          least={900}
          link={(group, children) => <OpenRow id={group.id}>{children}</OpenRow>}
        />
      </Panel>
      <Opened title="Error group" below="/api/errors">
        {(id) => (
          <Suspense fallback={<PageWaiting />}>
            <ErrorDetail id={id} />
          </Suspense>
        )}
      </Opened>
    </>
  );
}

function When({ at, now, title }: { at: string; now: number; title: string }) {
  return (
    <time dateTime={at} title={title}>
      {ago(millis(at), now)}
    </time>
  );
}
