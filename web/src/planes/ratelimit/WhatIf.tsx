/** Whom a rule would have hit: recorded calls of the chosen stretch of time, replayed by the server. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { api, type Schemas } from '../../api/client.ts';
import { sent } from '../../api/hooks.ts';
import { compact, count, millis, percent } from '../../time/format.ts';
import { asQuery, previous } from '../../time/range.ts';
import { counted, earlier, filled } from '../../ui/chart/steps.ts';
import { figure } from '../../ui/columns.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconCircleCheck, IconInbox } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { Row } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatCard, StatCards } from '../../ui/StatCard.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { type Draft, ruleOf } from './draft.ts';
import { KIND_NAMES, parted } from './model.ts';
import style from './RateLimits.module.css';

type Found = Schemas['WhatIfModel'];
type Hit = Schemas['HitModel'];

export function WhatIf({ draft }: { draft: Draft }) {
  const view = useView();
  const body = ruleOf(draft);
  const replay = (query: { since: string; until: string }) => ({
    queryFn: () => sent<Found>(api.POST('/api/admin/enterprise/rate-limits/what-if', { params: { query }, body })),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const asked = useQuery({ queryKey: ['what-if', body, view.bounds], ...replay(view.when) });
  const found = asked.data;
  // A replay is work, and an entry of the trail: that of the period before is made when one compares, and after this.
  const { before } = view;
  // Before what is shown, which stays as it was replayed while the page goes on.
  const shown = found && { from: millis(found.since), to: millis(found.until) };
  const ahead = shown && asQuery(previous(shown));
  const then = useQuery({
    queryKey: ['what-if', body, ahead, 'before'],
    ...replay(ahead ?? view.when),
    enabled: before !== null && ahead !== undefined,
  });
  // Of a stretch that was too long to be replayed the figures are those of a part, and of one of which no call is kept
  // they are none: they do not compare.
  const last = before && then.data?.recorded && found && !found.cut && !then.data.cut ? then.data : undefined;
  const data = useMemo<ChartData>(() => {
    if (!found) return { times: [], series: [] };
    const [times, points] = filled(found, found.trend);
    const old = last ? earlier(times, found, last, last.trend) : null;
    return {
      times,
      series: [
        {
          label: 'Let through',
          tone: 'info',
          values: points.map((point) => (point ? point.calls - point.refused : 0)),
        },
        { label: 'Would be refused', tone: 'bad', values: points.map((point) => point?.refused ?? 0) },
        ...(old
          ? [
              {
                label: 'Would have been refused before',
                before: true,
                values: counted(old, (point) => point.refused),
              },
            ]
          : []),
      ],
    };
  }, [found, last]);
  const nothing = found !== undefined && found.calls === 0;
  return (
    <>
      <Panel
        title="What if"
        note={found && <Told found={found} />}
        of={asked}
        height={320}
        empty={nothing}
        whenEmpty={
          <Message
            icon={<IconInbox size={28} />}
            title="No recorded call of this stretch of time is one that the rule holds for"
            text="Choose another stretch above, or another path, method or subject."
          />
        }
      >
        {found && (
          <>
            <StatCards>
              <StatCard
                label="Would be refused"
                value={percent(found.refusal_rate)}
                figure={found.refusal_rate}
                share
                before={last?.refusal_rate}
                more="bad"
                tone={found.refused > 0 ? 'warn' : 'good'}
                note={`${count(found.refused)} of ${count(found.calls)} calls`}
              />
              <StatCard
                label="Of them answered with success"
                value={count(found.successes_refused)}
                figure={found.successes_refused}
                before={last?.successes_refused}
                few
                more="bad"
                tone={found.successes_refused > 0 ? 'bad' : undefined}
                note="likely wanted calls"
              />
              <StatCard
                label="Would be hit"
                value={count(found.subjects_refused)}
                figure={found.subjects_refused}
                before={last?.subjects_refused}
                few
                note={`of ${count(found.subjects)} that it counts`}
              />
              <StatCard
                label="Not held against it"
                value={count(found.refused_already + found.let_through)}
                figure={found.refused_already + found.let_through}
                before={last && last.refused_already + last.let_through}
                note={`${count(found.refused_already)} refused by other rules or blocks, ${count(found.let_through)} on the allow list`}
              />
            </StatCards>
            <div className={style.below}>
              <TimeChart label="Calls that would be let through and refused" data={data} format={compact} kind="bars" />
            </div>
          </>
        )}
      </Panel>
      {found && !nothing && (
        <Row least={420}>
          <Hits title="Who would be hit" of={found.identifiers} name="what-if-identifiers" person />
          <Hits title="Where" of={found.endpoints} name="what-if-endpoints" />
        </Row>
      )}
    </>
  );
}

function Told({ found }: { found: Found }) {
  const moment = useMoment();
  return (
    <span className={style.near}>
      {count(found.recorded)} recorded calls, {moment(found.since)} to {moment(found.until)}
      {found.cut ? ': a part of what was asked for, the newest that could be replayed' : ''}. Counting begins with the
      first.
    </span>
  );
}

function Hits({ title, of, name, person }: { title: string; of: readonly Hit[]; name: string; person?: boolean }) {
  const columns = useMemo<Column<Hit>[]>(
    () => [
      ...(person
        ? [
            {
              id: 'kind',
              header: 'What',
              cell: (row: Hit) => KIND_NAMES[parted(row.label)[0]] ?? parted(row.label)[0],
              value: (row: Hit) => parted(row.label)[0],
              width: 90,
            },
          ]
        : []),
      {
        id: 'label',
        header: person ? 'Who' : 'Endpoint',
        width: person ? 150 : undefined,
        cell: (row) => (
          <span className="mono" title={row.label}>
            {person ? parted(row.label)[1] : row.label}
          </span>
        ),
        value: (row) => (person ? parted(row.label)[1] : row.label),
      },
      figure('refused', 'Refused', 90, (row) => row.refused, count),
      figure('calls', 'Of calls', 90, (row) => row.calls, count),
      figure('successes_refused', 'Wanted', 90, (row) => row.successes_refused, count),
    ],
    [person],
  );
  return (
    <Panel
      title={title}
      note="the first twenty"
      flush
      empty={of.length === 0}
      whenEmpty={<Message icon={<IconCircleCheck size={26} />} title="Nobody would be refused" />}
    >
      <DataTable
        label={title}
        columns={columns}
        rows={of}
        rowId={(row) => row.label}
        name={name}
        height={320}
        least={420}
      />
    </Panel>
  );
}
