/** Deliveries that were refused: how many and why, and samples of them. */
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { exported } from '../../api/exported.ts';
import { useRows, useTimed } from '../../api/hooks.ts';
import { useFresh } from '../../live/useFresh.ts';
import { compact, count } from '../../time/format.ts';
import { Bars } from '../../ui/Bars.tsx';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { Chips } from '../../ui/Facets.tsx';
import { IconShieldCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { Row } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { TimeChart } from '../../ui/TimeChart.tsx';
import { useView } from '../../view/view.ts';
import { SIZE, useReceived } from './columns.tsx';
import { gridOf } from './course.ts';
import { concerns, type ListedRefusal, reasonTitle } from './model.ts';
import { RefusalDetail } from './RefusalDetail.tsx';
import { useInbound } from './search.ts';

const KEYS = [['/webhook-refusals', 'rows'], ['/webhook-analytics']];
const NAMES = { source: 'Source', reason: 'Reason', address: 'Address' };

const GOOD = (
  <Message
    icon={<IconShieldCheck size={28} />}
    title="Nothing was refused"
    text="A delivery whose signature does not hold is answered 401 or 400, counted here, and a few samples are kept."
  />
);

export function Refused() {
  const { source, reason, address } = useInbound();
  const analytics = useTimed('/webhook-analytics', { source });
  const { when } = useView();
  const wanted = { source: source?.[0], reason, client_ip: address };
  const { rows, hasMore, loadMore, asked } = useRows('/webhook-refusals', wanted);
  useFresh(KEYS, concerns);
  const columns = useColumns();
  const data = useMemo(() => {
    const course = gridOf(analytics.data, analytics.data?.points ?? [], (point) => point.summary.refused);
    return {
      times: course.times,
      series: [{ label: 'Refused', tone: 'bad' as const, values: course.values.map((one) => one ?? 0) }],
    };
  }, [analytics.data]);
  const reasons = analytics.data?.refused ?? [];
  return (
    <>
      <Chips names={NAMES} />
      <Row least={420}>
        <Panel title="Refused over time" of={analytics} empty={analytics.data?.total.refused === 0} whenEmpty={GOOD}>
          <TimeChart label="Refused deliveries over time" data={data} format={compact} kind="bars" />
        </Panel>
        <Panel
          title="By source and reason"
          note="one narrows the samples below"
          of={analytics}
          empty={reasons.length === 0}
          whenEmpty={GOOD}
        >
          <Bars
            label="Refused deliveries by source and reason"
            bars={reasons.slice(0, 12).map((one) => ({
              id: `${one.source} ${one.reason}`,
              label: (
                <Link
                  to="."
                  search={((kept: object) => ({ ...kept, source: [one.source], reason: one.reason })) as never}
                >
                  {one.source}: {reasonTitle(one.reason)}
                </Link>
              ),
              value: one.count,
              shown: count(one.count),
              tone: 'bad',
            }))}
          />
        </Panel>
      </Row>
      <Panel
        title="Samples"
        note="some of each source and reason, with their headers and the first bytes"
        of={asked}
        empty={rows.length === 0}
        whenEmpty={GOOD}
        flush
      >
        <DataTable
          label="Refused deliveries"
          name="webhook-refusals"
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          hasMore={hasMore}
          loadMore={loadMore}
          everything={exported('webhook-refusals', { ...wanted, ...when })}
          least={760}
          link={(row, children) => <OpenRow id={row.id}>{children}</OpenRow>}
        />
      </Panel>
      <Opened title="Refused delivery" below="/webhooks/refused">
        {(id) => <RefusalDetail id={id} />}
      </Opened>
    </>
  );
}

function useColumns(): readonly Column<ListedRefusal>[] {
  const received = useReceived();
  return useMemo<readonly Column<ListedRefusal>[]>(
    () => [
      received,
      { id: 'source', header: 'Source', width: 110, value: (row) => row.source, cell: (row) => row.source },
      { id: 'reason', header: 'Why', value: (row) => row.reason, cell: (row) => reasonTitle(row.reason) },
      {
        id: 'client_ip',
        header: 'Address',
        width: 170,
        value: (row) => row.client_ip,
        cell: (row) => row.client_ip || '–',
      },
      SIZE,
    ],
    [received],
  );
}
