/** What was flagged and waits for a verdict, worst first where one sorts; one by one, or all that a search finds. */
import { SegmentedControl, TextInput } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { useRows } from '../../api/hooks.ts';
import { ago, count } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconShieldCheck } from '../../ui/icons.ts';
import { May } from '../../ui/May.tsx';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { oneOf, text } from '../../view/search.ts';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import style from './Lists.module.css';
import { type Entry, reference, STATES } from './model.ts';
import { ReviewMany } from './ReviewMany.tsx';
import { Risk } from './Risk.tsx';

const SHOWN = ['open', 'acknowledged', 'true_positive', 'benign', 'false_positive', 'all'] as const;

export function Flags() {
  const search: Record<string, unknown> = useSearch({ strict: false });
  const set = useSetSearch();
  const { now } = useView();
  const moment = useMoment();
  const state = oneOf(search.state, SHOWN) ?? 'open';
  const find = text(search.find) ?? '';
  const query = {
    ...(state === 'all' ? { flagged: true } : { review_state: state }),
    ...(find ? { text: find } : {}),
  };
  // What waits is shown whenever it was flagged: a flag does not go away by looking at another hour.
  const timed = state !== 'open' && state !== 'acknowledged';
  const { rows, hasMore, loadMore, asked } = useRows('/audit-logs', query, { timed });
  const columns: Column<Entry>[] = [
    {
      id: 'action',
      header: 'Flag',
      cell: (row) => <span title={row.action}>{row.action}</span>,
      value: (row) => row.action,
      width: 216,
    },
    {
      id: 'risk',
      header: 'Risk',
      width: 84,
      cell: (row) => <Risk score={row.risk_score} />,
      value: (row) => row.risk_score,
    },
    {
      id: 'actor',
      header: 'Actor',
      cell: (row) => reference(row.actor),
      value: (row) => reference(row.actor),
      width: 140,
    },
    {
      id: 'why',
      header: 'Why',
      cell: (row) => <span title={why(row)}>{why(row)}</span>,
      value: why,
    },
    {
      id: 'occurrences',
      header: 'Entries',
      width: 76,
      align: 'right',
      cell: (row) => count(row.occurrences),
      value: (row) => row.occurrences,
    },
    {
      id: 'last_at',
      header: 'Last',
      width: 96,
      cell: (row) => (
        <time dateTime={row.last_at ?? row.recorded_at} title={moment(row.last_at ?? row.recorded_at, 'iso')}>
          {ago(row.last_at ?? row.recorded_at, now)}
        </time>
      ),
      value: (row) => row.last_at ?? row.recorded_at,
    },
    {
      id: 'assignee',
      header: 'Looked at by',
      width: 104,
      cell: (row) => row.review?.assignee || <span className="faint">nobody</span>,
      value: (row) => row.review?.assignee ?? '',
    },
    {
      id: 'state',
      header: 'Review',
      width: 142,
      cell: (row) =>
        row.review && (
          <StatusBadge
            state={row.review.state}
            tone={STATES[row.review.state].tone}
            label={STATES[row.review.state].label}
          />
        ),
      value: (row) => row.review?.state ?? '',
    },
  ];
  return (
    <Panel
      title="Flagged entries"
      note={timed ? 'of the time range' : 'of all time: what waits does not go away'}
      of={asked}
      flush
      actions={
        <May operation="audit_review_audit_logs">
          <ReviewMany query={query} timed={timed} disabled={rows.length === 0} />
        </May>
      }
    >
      <DataTable
        label="Flagged entries"
        name="flagged-entries"
        columns={columns}
        rows={rows}
        rowId={(row) => row.id}
        hasMore={hasMore}
        loadMore={loadMore}
        least={1_060}
        height={520}
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
        <SegmentedControl
          size="xs"
          className={style.states}
          aria-label="State of the review"
          value={state}
          onChange={(value) => set({ state: value === 'open' ? undefined : value })}
          data={SHOWN.map((value) => ({ value, label: value === 'all' ? 'All' : STATES[value].label }))}
        />
        <TextInput
          size="xs"
          className={style.find}
          aria-label="Find in flagged entries"
          placeholder="Find…"
          data-filter
          key={find}
          defaultValue={find}
          maxLength={200}
          onKeyDown={(event) => event.key === 'Enter' && set({ find: event.currentTarget.value || undefined })}
          onBlur={(event) =>
            event.currentTarget.value !== find && set({ find: event.currentTarget.value || undefined })
          }
        />
      </DataTable>
      {rows.length === 0 && (
        <Message
          icon={<IconShieldCheck size={28} />}
          title={state === 'open' ? 'Nothing waits for review' : 'None in this state'}
          text="Entries of high risk show up here with the reasons of their score."
        />
      )}
    </Panel>
  );
}

function why(row: Entry): string {
  const patterns = row.risk_reasons.filter((reason) => reason.rule !== 'action');
  return [...(patterns.length > 0 ? patterns : row.risk_reasons)]
    .sort((one, other) => other.points - one.points)
    .map((reason) => reason.sentence)
    .concat(row.reason || [])
    .join(' · ');
}
