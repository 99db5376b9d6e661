/** Slow endpoints, ranked over all there are, with what each takes of all the time spent. */
import { SegmentedControl } from '@mantine/core';
import { useTimed } from '../../api/hooks.ts';
import { Panel } from '../../ui/Panel.tsx';
import { useSetSearch } from '../../view/view.ts';
import { EndpointTable } from './EndpointTable.tsx';
import { useFilters, useRanking, useTrafficSearch } from './model.ts';
import type { Order } from './search.ts';
import { ToPart } from './ToPart.tsx';

const CHOICES: { value: Order; label: string }[] = [
  { value: 'p95', label: 'p95' },
  { value: 'p99', label: 'p99' },
  { value: 'mean', label: 'Mean' },
  { value: 'max', label: 'Longest' },
  { value: 'time', label: 'Total time' },
];

/** Endpoints that are listed. */
const LISTED = 10;

export function Slowest() {
  const { tenant } = useFilters();
  const { order = 'p95' } = useTrafficSearch();
  const set = useSetSearch();
  const { asked, endpoints } = useRanking(order, LISTED);
  const all = useTimed('/api-analytics', { endpoints: 1, consumers: 1, ...(tenant ? { tenant } : {}) });
  return (
    <Panel
      title="Slowest endpoints"
      note="the slowest first; shares are of all requests"
      of={[asked, all]}
      empty={asked.data !== undefined && endpoints.length === 0}
      flush
      actions={
        <>
          <SegmentedControl
            size="xs"
            aria-label="Rank by"
            data={CHOICES}
            value={order}
            onChange={(next) => set({ order: next === 'p95' ? undefined : next })}
          />
          <ToPart change={{ part: 'endpoints' }}>All endpoints</ToPart>
        </>
      }
    >
      <EndpointTable
        label="Slowest endpoints"
        name="slowest-endpoints"
        endpoints={endpoints}
        totals={all.data?.totals}
        height={420}
      />
    </Panel>
  );
}
