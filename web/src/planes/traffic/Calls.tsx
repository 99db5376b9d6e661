/** Single calls, newest first, with all filters at once. */
import { Button } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useMemo } from 'react';
import { exported } from '../../api/exported.ts';
import { get, useRows } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { clock, millis } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { Bounded, Facets, Filtered } from '../../ui/Facets.tsx';
import { IconRoute } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { PageWaiting } from '../../ui/PageStates.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint, installUrl } from '../../ui/Snippet.tsx';
import { useView } from '../../view/view.ts';
import { useCallColumns } from './callColumns.tsx';
import { type Call, CLASSES, useFilters } from './model.ts';
import { callQuery } from './search.ts';

const CLASS_NAMES = CLASSES.map(([value]) => value);
const CLASS_LABELS: Readonly<Record<string, string>> = Object.fromEntries(CLASSES);

const CallDetail = lazy(() => import('./CallDetail.tsx').then((module) => ({ default: module.CallDetail })));

export function Calls() {
  const filters = useFilters();
  const query = useMemo(() => callQuery(filters), [filters]);
  const { rows, hasMore, loadMore, asked } = useRows('/api-calls', query);
  const { zone, now, when } = useView();
  const columns: readonly Column<Call>[] = useCallColumns();
  const facets = useFacets(query);
  const narrowed = Object.keys(filters).length > 0;
  // A text is looked for in some thousands of calls at a time: how far back is the reader's choice.
  const further = filters.text !== undefined && hasMore;
  const last = rows.at(-1);
  return (
    <Filtered side={<CallFacets asked={facets} />}>
      <Panel
        title="Calls"
        note="the newest first; a call is here some seconds after it ended"
        of={asked}
        empty={rows.length === 0 && !further}
        whenEmpty={
          narrowed ? (
            <Message title="No call fits these filters" text="Take one away, or choose a longer stretch of time." />
          ) : (
            <Hint
              icon={<IconRoute size={28} />}
              title="No call in this stretch of time"
              text="Call your app once, and it is here in some seconds:"
              snippet={`curl ${installUrl(boot.root)}/`}
            />
          )
        }
        flush
        actions={
          further && (
            <Button size="compact-xs" variant="default" loading={asked.isFetchingNextPage} onClick={loadMore}>
              {last ? `Search before ${clock(millis(last.started_at), zone, now)}` : 'Search further back'}
            </Button>
          )
        }
      >
        <DataTable
          label="API calls"
          name="api-calls"
          columns={columns}
          rows={rows}
          rowId={(call) => call.id}
          hasMore={hasMore && !further}
          total={facets.data && { count: facets.data.total, exact: facets.data.exact }}
          loadMore={loadMore}
          height={680}
          least={980}
          everything={exported('api-calls', { ...query, ...when })}
          link={(call, children) => <OpenRow id={call.id}>{children}</OpenRow>}
        />
      </Panel>
      <CallDrawer />
    </Filtered>
  );
}

/** Counts of what could be chosen next, in the stretch of time of the page. */
function useFacets(query: ReturnType<typeof callQuery>) {
  const view = useView();
  return useQuery({
    queryKey: ['/api-calls/facets', query, view.bounds],
    queryFn: ({ signal }) => get('/api-calls/facets', { ...query, ...view.when }, { signal }),
    placeholderData: keepPreviousData,
  });
}

function CallFacets({ asked }: { asked: ReturnType<typeof useFacets> }) {
  const facets = asked.data;
  return (
    <>
      <Facets
        failed={asked.isError}
        facets={[
          {
            param: 'status',
            title: 'Status',
            values: facets?.status,
            known: CLASS_NAMES,
            labels: CLASS_LABELS,
            one: true,
          },
          { param: 'method', title: 'Method', values: facets?.method, one: true },
          { param: 'route', title: 'Route', values: facets?.route, one: true },
        ]}
      />
      {facets && !facets.complete && <Bounded of="calls" />}
    </>
  );
}

/** The call that the URL says is open, over what is shown. */
export function CallDrawer() {
  return (
    <Opened title="API call" below="/api">
      {(id) => (
        <Suspense fallback={<PageWaiting />}>
          <CallDetail id={id} />
        </Suspense>
      )}
    </Opened>
  );
}
