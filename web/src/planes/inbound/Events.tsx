/** Every webhook that was accepted, by filters that combine; one of them in full. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { exported } from '../../api/exported.ts';
import { get, useRows } from '../../api/hooks.ts';
import { useFresh } from '../../live/useFresh.ts';
import { ago, duration } from '../../time/format.ts';
import { asSaid } from '../../ui/asSaid.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { Chips, type Facet, Facets } from '../../ui/Facets.tsx';
import { May } from '../../ui/May.tsx';
import { Message } from '../../ui/Message.tsx';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { SIZE, useReceived } from './columns.tsx';
import { EventDetail } from './EventDetail.tsx';
import { EventStatus } from './EventStatus.tsx';
import style from './Events.module.css';
import { concerns, type Event, STATUS_LABELS } from './model.ts';
import { Replay } from './Replay.tsx';
import { ReplaySelection } from './ReplaySelection.tsx';
import { SearchById } from './SearchById.tsx';
import { Start } from './Start.tsx';
import { FILTERS, isFiltered, useEventQuery, useInbound } from './search.ts';

const KEYS = [['/webhook-events', 'rows'], ['/webhook-events/facets']];

export function Events() {
  const query = useEventQuery();
  const { rows, hasMore, loadMore, asked } = useRows('/webhook-events', query);
  useFresh(KEYS, concerns);
  const { when } = useView();
  const columns = useColumns();
  const filtered = isFiltered(query);
  if (!filtered && asked.data && rows.length === 0) return <Start />;
  return (
    <div className={style.whole}>
      <details className={style.side} open={window.matchMedia('(min-width: 900px)').matches}>
        <summary>Filters</summary>
        <SearchById />
        <EventFacets />
      </details>
      <Panel
        title="Events"
        note="accepted deliveries, newest first"
        of={asked}
        empty={rows.length === 0}
        whenEmpty={<Message title="No event fits these filters" text="Take one away, or choose a longer range." />}
        actions={
          <May operation="inbound_replay_webhook_events">
            <ReplaySelection query={query} />
          </May>
        }
        flush
      >
        <DataTable
          label="Webhook events"
          name="webhook-events"
          columns={columns}
          rows={rows}
          rowId={(event) => event.id}
          hasMore={hasMore}
          loadMore={loadMore}
          height={680}
          least={1_180}
          everything={exported('webhook-events', { ...query, ...when })}
          link={(event, children) => <OpenRow id={event.id}>{children}</OpenRow>}
        >
          {filtered && <Chips names={FILTERS} />}
        </DataTable>
      </Panel>
      <Opened title="Webhook" below="/webhooks" also={['versus']}>
        {(id) => <EventDetail id={id} />}
      </Opened>
    </div>
  );
}

function useColumns(): readonly Column<Event>[] {
  const received = useReceived();
  return useMemo<readonly Column<Event>[]>(
    () => [
      received,
      {
        id: 'status',
        header: 'Status',
        width: 128,
        value: (event) => event.status,
        cell: (event) => <EventStatus event={event} />,
      },
      { id: 'source', header: 'Source', width: 84, value: (event) => event.source, cell: (event) => event.source },
      {
        id: 'event_type',
        header: 'Type',
        width: 196,
        value: (event) => event.event_type,
        cell: (event) => <span title={event.event_type}>{event.event_type || '–'}</span>,
      },
      {
        id: 'error',
        header: 'Last error',
        value: (event) => event.error ?? '',
        cell: (event) => <Why event={event} />,
      },
      { id: 'again', header: 'Again', width: 84, cell: (event) => <Replay event={event} small /> },
      {
        id: 'attempts',
        header: 'Attempts',
        width: 84,
        align: 'right',
        value: (event) => event.attempts,
        cell: (event) => event.attempts,
      },
      {
        id: 'processing_ms',
        header: 'Took',
        width: 84,
        align: 'right',
        value: (event) => (event.processing_us === null ? null : event.processing_us / 1_000),
        cell: (event) => duration(event.processing_us === null ? null : event.processing_us / 1_000),
      },
      SIZE,
      {
        id: 'event_id',
        header: 'Id of the sender',
        width: 176,
        value: (event) => event.event_id,
        cell: (event) => (
          <span className="mono" title={event.event_id}>
            {event.event_id || '–'}
          </span>
        ),
      },
    ],
    [received],
  );
}

/** What went wrong with it last, and when it is tried again. */
function Why({ event }: { event: Event }) {
  const { now } = useView();
  const moment = useMoment();
  if (!event.error) return <span className="faint">–</span>;
  const next = event.next_retry_at && `next try ${ago(event.next_retry_at, now)}`;
  const exact = event.next_retry_at && `Next try ${moment(event.next_retry_at, 'iso')}\n`;
  return (
    <span title={`${exact ?? ''}${event.error}`}>
      {next && <b>{next}: </b>}
      {asSaid(event.error)}
    </span>
  );
}

/** Counts of what could be chosen next, in the stretch of time of the page. */
export function useFacets() {
  const query = useEventQuery();
  const view = useView();
  return useQuery({
    queryKey: ['/webhook-events/facets', query, view.bounds],
    queryFn: ({ signal }) => get('/webhook-events/facets', { ...query, ...view.when }, { signal }),
  });
}

function EventFacets() {
  const { data } = useFacets();
  const search = useInbound();
  const facet = (param: 'source' | 'type' | 'status' | 'verdict', title: string, labels?: Record<string, string>) => {
    const name = param === 'type' ? 'event_type' : param;
    const counted = data?.[name] ?? [];
    // What is chosen stays in the list, also where nothing is left of it.
    const gone = (search[param] ?? []).filter((value) => !counted.some((one) => one.value === value));
    const values = [...counted, ...gone.map((value) => ({ value, count: 0 }))];
    return {
      param,
      title,
      values: values.slice(0, 40).map((one) => ({ ...one, label: labels?.[one.value] ?? (one.value || '(none)') })),
    } satisfies Facet;
  };
  return (
    <>
      <Facets
        facets={[
          facet('status', 'Status', STATUS_LABELS),
          facet('source', 'Source'),
          facet('verdict', 'Signature'),
          facet('type', 'Type'),
        ]}
      />
      {data && !data.complete && <p className={style.note}>Counts are of the newest 20,000 events.</p>}
    </>
  );
}
