/** Every webhook that was accepted, by filters that combine; one of them in full. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useMemo } from 'react';
import { exported } from '../../api/exported.ts';
import { get, useRows } from '../../api/hooks.ts';
import { useFresh } from '../../live/useFresh.ts';
import { ahead, duration } from '../../time/format.ts';
import { asSaid } from '../../ui/asSaid.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { Bounded, Chips, Facets, Filtered } from '../../ui/Facets.tsx';
import { May } from '../../ui/May.tsx';
import { Message } from '../../ui/Message.tsx';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { PageWaiting } from '../../ui/PageStates.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { SIZE, useReceived } from './columns.tsx';
import { EventStatus } from './EventStatus.tsx';
import { concerns, type Event, STATUS_LABELS } from './model.ts';
import { Replay } from './Replay.tsx';
import { ReplaySelection } from './ReplaySelection.tsx';
import { SearchById } from './SearchById.tsx';
import { Start } from './Start.tsx';
import { FILTERS, isFiltered, STATUS, useEventQuery, VERDICT } from './search.ts';

const EventDetail = lazy(() => import('./EventDetail.tsx').then((module) => ({ default: module.EventDetail })));

/** Events that the API counts at most. */
const COUNTED = 20_000;

const KEYS = [['/webhook-events', 'rows'], ['/webhook-events/facets']];

export function Events() {
  const query = useEventQuery();
  const { rows, hasMore, loadMore, asked } = useRows('/webhook-events', query);
  useFresh(KEYS, concerns);
  const { when } = useView();
  const columns = useColumns();
  const facets = useFacets();
  const filtered = isFiltered(query);
  if (!filtered && asked.data && rows.length === 0) return <Start />;
  return (
    <Filtered
      side={
        <>
          <SearchById />
          <EventFacets asked={facets} />
        </>
      }
    >
      <Panel
        title="Events"
        note="accepted deliveries, newest first"
        of={asked}
        empty={rows.length === 0}
        whenEmpty={
          <Message title="No event fits these filters" text="Take one away, or choose a longer range.">
            <Chips names={FILTERS} />
          </Message>
        }
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
          total={facets.data && { count: facets.data.total, exact: facets.data.total < COUNTED }}
          loadMore={loadMore}
          height={680}
          least={1_180}
          everything={exported('webhook-events', { ...query, ...when })}
          link={(event, children) => <OpenRow id={event.id}>{children}</OpenRow>}
        >
          <Chips names={FILTERS} reserve />
        </DataTable>
      </Panel>
      <Opened title="Webhook" below="/webhooks" also={['versus']}>
        {(id) => (
          <Suspense fallback={<PageWaiting />}>
            <EventDetail id={id} />
          </Suspense>
        )}
      </Opened>
    </Filtered>
  );
}

function useColumns(): readonly Column<Event>[] {
  const received = useReceived();
  return useMemo<readonly Column<Event>[]>(
    () => [
      { ...received, phone: 118 },
      {
        id: 'status',
        header: 'Status',
        width: 150,
        phone: 118,
        value: (event) => event.status,
        cell: (event) => <EventStatus event={event} />,
      },
      { id: 'source', header: 'Source', width: 84, value: (event) => event.source, cell: (event) => event.source },
      {
        id: 'event_type',
        header: 'Type',
        width: 196,
        phone: 0,
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
  const next = event.next_retry_at && `next try ${ahead(event.next_retry_at, now)}`;
  const exact = event.next_retry_at && `Next try ${moment(event.next_retry_at, 'iso')}\n`;
  return (
    <span title={`${exact ?? ''}${event.error}`}>
      {next && <b>{next}: </b>}
      {asSaid(event.error)}
    </span>
  );
}

/** Counts of what could be chosen next, in the stretch of time of the page. */
function useFacets() {
  const query = useEventQuery();
  const view = useView();
  return useQuery({
    queryKey: ['/webhook-events/facets', query, view.bounds],
    queryFn: ({ signal }) => get('/webhook-events/facets', { ...query, ...view.when }, { signal }),
    placeholderData: keepPreviousData,
  });
}

function EventFacets({ asked }: { asked: ReturnType<typeof useFacets> }) {
  const facets = asked.data;
  return (
    <>
      <Facets
        failed={asked.isError}
        facets={[
          { param: 'status', title: 'Status', values: facets?.status, known: STATUS, labels: STATUS_LABELS },
          { param: 'verdict', title: 'Signature', values: facets?.verdict, known: VERDICT },
          { param: 'source', title: 'Source', values: facets?.source },
          { param: 'type', title: 'Type', values: facets?.event_type },
        ]}
      />
      {facets && !facets.complete && <Bounded of="events" />}
    </>
  );
}
