/** Requests that no route matched: who looks for what is not there. */
import { useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { api } from '../../api/client.ts';
import { sent, useRows, useTimed } from '../../api/hooks.ts';
import { compact, count, percent } from '../../time/format.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { counted, earlier, filled } from '../../ui/chart/steps.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconShieldCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatCard, StatCards } from '../../ui/StatCard.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { useView } from '../../view/view.ts';
import { CallDrawer } from './Calls.tsx';
import { useCallColumns } from './callColumns.tsx';
import { type Call, share, useFilters } from './model.ts';
import { callQuery } from './search.ts';
import { ToPart } from './ToPart.tsx';
import style from './Traffic.module.css';

const UNMATCHED = '(unmatched)';

/** Newest calls that are told by address and by path. */
const LOOKED_AT = 500;

/** Length of a block from here: as long as a scan lasts, and nobody is shut out for ever. */
const BLOCK_SECONDS = 86_400;

export function Scans() {
  const filters = useFilters();
  const tenant = filters.tenant ? { tenant: filters.tenant } : {};
  const method = filters.method ? { method: filters.method } : {};
  const asked = useTimed('/api-analytics', { ...tenant, ...method, route: UNMATCHED, endpoints: 1, consumers: 1 });
  const all = useTimed('/api-analytics', { ...tenant, endpoints: 1, consumers: 1 });
  const then = { which: 'before' } as const;
  const before = useTimed(
    '/api-analytics',
    { ...tenant, ...method, route: UNMATCHED, endpoints: 1, consumers: 1 },
    then,
  );
  const allBefore = useTimed('/api-analytics', { ...tenant, endpoints: 1, consumers: 1 }, then);
  const query = useMemo(() => ({ ...callQuery(filters), route: UNMATCHED, limit: LOOKED_AT }), [filters]);
  const calls = useRows('/api-calls', query);
  const newest = useMemo(() => calls.rows.slice(0, LOOKED_AT), [calls.rows]);
  const addresses = useMemo(() => grouped(newest, (call) => call.client_ip), [newest]);
  const paths = useMemo(() => grouped(newest, (call) => call.path), [newest]);
  const view = useView();
  const known = asked.data;
  const old = view.before ? before.data : undefined;
  const data = useMemo<ChartData>(() => {
    if (!known) return { times: [], series: [] };
    const [times, points] = filled(known, known.series);
    const last = old ? earlier(times, known, old, old.series) : null;
    return {
      times,
      series: [
        { label: 'Requests', tone: 'warn', values: points.map((point) => point?.stats.count ?? 0) },
        ...(last ? [{ label: 'Before', before: true, values: counted(last, (one) => one.stats.count) }] : []),
      ],
    };
  }, [known, old]);
  const total = known?.totals.count;
  const part = total === undefined || !all.data ? null : share(total, all.data.totals.count);
  const partBefore = before.data && allBefore.data && share(before.data.totals.count, allBefore.data.totals.count);
  const calm = (
    <Message
      icon={<IconShieldCheck size={28} />}
      title="Every request found a route"
      text="Scanners that look for files and routes which are not there show up here."
    />
  );
  return (
    <>
      <StatCards>
        <StatCard
          label="Unmatched requests"
          value={total === undefined ? null : compact(total)}
          figure={total}
          before={before.data?.totals.count}
          more="bad"
          tone={total ? 'warn' : undefined}
        />
        <StatCard
          label="Of all requests"
          value={total === undefined || !all.data ? null : percent(part ?? 0)}
          figure={part ?? undefined}
          share
          before={partBefore}
          more="bad"
        />
        <StatCard
          label="Addresses"
          value={calls.asked.data ? count(addresses.length) : null}
          note={looked(newest.length)}
        />
        <StatCard label="Paths" value={calls.asked.data ? count(paths.length) : null} note={looked(newest.length)} />
      </StatCards>
      <Panel
        title="Unmatched requests"
        note="no route of the app fits their path"
        of={asked}
        empty={total === 0}
        whenEmpty={calm}
      >
        <TimeChart
          label="Requests over time that no route matched"
          data={data}
          format={compact}
          kind="bars"
          height={180}
        />
      </Panel>
      <div className={style.scans}>
        <Panel
          title="By address"
          note={looked(newest.length)}
          of={calls.asked}
          empty={newest.length === 0}
          whenEmpty={calm}
          flush
        >
          <Addresses rows={addresses} />
        </Panel>
        <Panel
          title="By path"
          note={looked(newest.length)}
          of={calls.asked}
          empty={newest.length === 0}
          whenEmpty={calm}
          flush
        >
          <Paths rows={paths} />
        </Panel>
      </div>
      <Panel
        title="Calls"
        note="the newest first"
        of={calls.asked}
        empty={calls.rows.length === 0}
        whenEmpty={calm}
        flush
      >
        <UnmatchedCalls calls={calls} />
      </Panel>
      <CallDrawer />
    </>
  );
}

function looked(number: number): string {
  return number < LOOKED_AT ? `of these ${count(number)}` : `of the newest ${count(LOOKED_AT)}`;
}

function UnmatchedCalls({ calls }: { calls: ReturnType<typeof useRows<'/api-calls'>> }) {
  const columns = useCallColumns();
  const shown = useMemo(() => columns.filter((column) => column.id !== 'route'), [columns]);
  return (
    <DataTable
      label="Unmatched calls"
      name="unmatched-calls"
      columns={shown}
      rows={calls.rows}
      rowId={(call) => call.id}
      hasMore={calls.hasMore}
      loadMore={calls.loadMore}
      height={420}
      least={860}
      link={(call, children) => <OpenRow id={call.id}>{children}</OpenRow>}
    />
  );
}

interface Group {
  name: string;
  count: number;
  /** Different paths, or addresses. */
  others: number;
  last: string;
}

function grouped(calls: readonly Call[], by: (call: Call) => string): Group[] {
  const groups = new Map<string, { count: number; paths: Set<string>; from: Set<string>; last: string }>();
  for (const call of calls) {
    const name = by(call);
    const group = groups.get(name) ?? { count: 0, paths: new Set(), from: new Set(), last: call.started_at };
    group.count += 1;
    group.paths.add(call.path);
    group.from.add(call.client_ip);
    groups.set(name, group);
  }
  return [...groups]
    .map(([name, { count: calls, paths, from, last }]) => ({
      name,
      count: calls,
      others: Math.max(paths.size, from.size),
      last,
    }))
    .sort((one, other) => other.count - one.count);
}

const requests: Column<Group> = {
  id: 'requests',
  header: 'Requests',
  width: 88,
  align: 'right',
  cell: (group) => count(group.count),
  value: (group) => group.count,
};

function Addresses({ rows }: { rows: readonly Group[] }) {
  const columns = useMemo<Column<Group>[]>(
    () => [
      { id: 'address', header: 'Address', cell: (group) => group.name || 'unknown', value: (group) => group.name },
      requests,
      {
        id: 'paths',
        header: 'Paths',
        width: 70,
        align: 'right',
        cell: (group) => count(group.others),
        value: (group) => group.others,
      },
      { id: 'block', header: 'Action', width: 84, cell: (group) => group.name && <Block address={group.name} /> },
    ],
    [],
  );
  return (
    <DataTable
      label="Unmatched requests by address"
      name="scanning-addresses"
      columns={columns}
      rows={rows}
      rowId={(group) => group.name}
      height={330}
      least={420}
      link={(group, children) =>
        group.name ? <ToPart change={{ part: 'calls', client_ip: group.name }}>{children}</ToPart> : children
      }
    />
  );
}

function Paths({ rows }: { rows: readonly Group[] }) {
  const columns = useMemo<Column<Group>[]>(
    () => [
      {
        id: 'path',
        header: 'Path',
        cell: (group) => <span title={group.name}>{group.name}</span>,
        value: (group) => group.name,
      },
      requests,
      {
        id: 'addresses',
        header: 'Addresses',
        width: 92,
        align: 'right',
        cell: (group) => count(group.others),
        value: (group) => group.others,
      },
    ],
    [],
  );
  return (
    <DataTable
      label="Unmatched requests by path"
      name="scanned-paths"
      columns={columns}
      rows={rows}
      rowId={(group) => group.name}
      height={330}
      least={420}
      link={(group, children) => (
        <ToPart change={{ part: 'calls', route: UNMATCHED, text: group.name }}>{children}</ToPart>
      )}
    />
  );
}

function Block({ address }: { address: string }) {
  const queries = useQueryClient();
  return (
    <ConfirmAction
      operation="ratelimit_create_block"
      label="Block"
      danger
      done={`${address} is blocked for a day`}
      button={{ size: 'compact-xs' }}
      onConfirm={async (reason) => {
        const body = { identifier: address, kind: 'ip' as const, reason, duration_seconds: BLOCK_SECONDS };
        await sent(api.POST('/api/admin/enterprise/rate-limits/blocks', { body }));
        await queries.invalidateQueries({ queryKey: ['/rate-limit-summary'] });
      }}
    >
      All requests from <b>{address}</b> are refused for a day. It can be lifted on the rate limits tab.
    </ConfirmAction>
  );
}
