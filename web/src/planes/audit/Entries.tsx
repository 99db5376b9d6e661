/** Everything recorded, found by who, what, on what, from where, how it ended, and any word of it. */
import { Select, TextInput } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { exported } from '../../api/exported.ts';
import { useGet, useRows } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Chips } from '../../ui/Facets.tsx';
import { IconSearch } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { text } from '../../view/search.ts';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import style from './Lists.module.css';
import { type Entry, FILTER_NAMES, type FilterName, filtersOf, reference } from './model.ts';
import { Risk } from './Risk.tsx';

const TYPED: readonly { name: FilterName; hint: string }[] = [
  { name: 'text', hint: 'any word of it' },
  { name: 'actor', hint: 'user:42' },
  { name: 'action', hint: 'auth.*' },
  { name: 'target', hint: 'invoice:7' },
  { name: 'ip', hint: '203.0.113.9' },
];

export function Entries({ only }: { only?: 'admin' }) {
  const search: Record<string, unknown> = useSearch({ strict: false });
  const set = useSetSearch();
  const { bounds, when } = useView();
  const moment = useMoment();
  const catalogue = useGet('/audit-catalogue');
  const filters = filtersOf(search);
  const flag = text(search.flag);
  const query = { ...filters, ...(flag ? { flag_id: flag } : {}), ...(only ? { kind: only } : {}) };
  const { rows, hasMore, loadMore, asked } = useRows('/audit-logs', query as never, { timed: !flag });
  const categories = [...new Set(catalogue.data?.actions.map((action) => action.category))].sort();
  const columns: Column<Entry>[] = [
    {
      id: 'action',
      header: 'Action',
      width: 216,
      cell: (row) => <span title={row.action}>{row.action}</span>,
      value: (row) => row.action,
    },
    {
      id: 'recorded_at',
      header: 'When',
      width: 164,
      cell: (row) => (
        <time dateTime={row.recorded_at} title={moment(row.recorded_at, 'iso')}>
          {moment(row.recorded_at)}
        </time>
      ),
      value: (row) => row.recorded_at,
    },
    {
      id: 'actor',
      header: 'Actor',
      width: 150,
      cell: (row) => reference(row.actor),
      value: (row) => reference(row.actor),
    },
    {
      id: 'target',
      header: 'On',
      cell: (row) => row.targets.map(reference).join(', '),
      value: (row) => row.targets.map(reference).join(' '),
    },
    {
      id: 'outcome',
      header: 'Outcome',
      width: 104,
      cell: (row) => <StatusBadge state={row.outcome} />,
      value: (row) => row.outcome,
    },
    { id: 'ip', header: 'Address', width: 120, cell: (row) => row.context.ip, value: (row) => row.context.ip },
    {
      id: 'reason',
      header: 'Reason',
      cell: (row) => <span title={row.reason}>{row.reason}</span>,
      value: (row) => row.reason,
    },
    {
      id: 'risk',
      header: 'Risk',
      width: 84,
      cell: (row) => <Risk score={row.risk_score} />,
      value: (row) => row.risk_score,
    },
  ];
  const narrowed = Object.keys(filters).length > 0 || flag !== undefined;
  const choose = (name: FilterName, data: { value: string; label: string }[]) => (
    <Select
      key={name}
      size="xs"
      label={FILTER_NAMES[name]}
      placeholder="any"
      clearable
      data={data}
      value={filters[name] ?? null}
      onChange={(value) => set({ [name]: value ?? undefined })}
    />
  );
  const words = (...values: string[]) => values.map((value) => ({ value, label: value }));
  return (
    <Panel
      title={only ? 'Admin actions' : 'Entries'}
      note={only ? 'what administrators did, or were refused' : undefined}
      of={asked}
      flush
    >
      <DataTable
        label={only ? 'Admin actions' : 'Entries'}
        name={only ? 'admin-actions' : 'audit-entries'}
        everything={exported('audit-logs', { ...query, ...(flag ? {} : when) })}
        columns={columns}
        rows={rows}
        rowId={(row) => row.id}
        hasMore={hasMore}
        loadMore={loadMore}
        least={1_120}
        height={560}
        link={(row, children) => (
          <Link
            to="/audit"
            search={((kept: object) => ({ ...kept, open: row.id, who: undefined })) as never}
            resetScroll={false}
          >
            {children}
          </Link>
        )}
      >
        <search className={style.filters}>
          {TYPED.map(({ name, hint }, at) => (
            <TextInput
              key={`${name} ${filters[name] ?? ''}`}
              size="xs"
              label={FILTER_NAMES[name]}
              placeholder={hint}
              maxLength={name === 'action' ? 100 : name === 'ip' ? 64 : 200}
              {...(at === 0 ? { 'data-filter': true } : {})}
              defaultValue={filters[name] ?? ''}
              onKeyDown={(event) =>
                event.key === 'Enter' && set({ [name]: event.currentTarget.value.trim() || undefined })
              }
              onBlur={(event) => {
                const value = event.currentTarget.value.trim();
                if (value !== (filters[name] ?? '')) set({ [name]: value || undefined });
              }}
            />
          ))}
          {!only && choose('kind', words('event', 'admin', 'security'))}
          {choose('outcome', words('success', 'failure', 'denied'))}
          {choose('category', words(...categories))}
          {choose(
            'min_risk',
            ['20', '40', '60', '80'].map((value) => ({ value, label: `${value} or more` })),
          )}
        </search>
        <Chips names={{ ...FILTER_NAMES, flag: 'Flag' }} />
      </DataTable>
      {rows.length === 0 &&
        (narrowed || only ? (
          <Message
            icon={<IconSearch size={28} />}
            title="Nothing found"
            text={`Nothing in this stretch of time${narrowed ? ' that all filters hold for' : ''}. Look further back, or take a filter away.`}
          />
        ) : (
          <Hint
            title="Nothing recorded in this stretch of time"
            text="Record what matters in your app, in the transaction that does it:"
            snippet={`await custodes.audit.log_audit_event(\n    "member.removed", actor=user, target=member, changes=[("role", "editor", None)]\n)\n\n# from another language\nPOST ${window.location.origin}${boot.root}/api/admin/enterprise/ingest/audit-events`}
          />
        ))}
      {asked.isFetching && <span className="unseen" role="status">{`Loading ${bounds.from}`}</span>}
    </Panel>
  );
}
