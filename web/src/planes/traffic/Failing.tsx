/** Where it fails: endpoints by the share of requests that ended in a server error. */
import { useTimed } from '../../api/hooks.ts';
import { count, percent } from '../../time/format.ts';
import { Bars } from '../../ui/Bars.tsx';
import { IconCircleCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useFilters } from './model.ts';
import { ToPart } from './ToPart.tsx';

/** Endpoints that are listed. */
const LISTED = 8;

export function Failing() {
  const { tenant } = useFilters();
  const asked = useTimed('/slow-endpoints', { order_by: 'error_rate', limit: LISTED, ...(tenant ? { tenant } : {}) });
  return (
    <Panel
      title="Server errors by endpoint"
      note="share of its requests"
      of={asked}
      empty={asked.data?.length === 0}
      whenEmpty={
        <Message
          icon={<IconCircleCheck size={28} />}
          title="No server error"
          text="No endpoint answered 500 or above, or raised an exception, in this stretch of time."
        />
      }
      actions={<ToPart change={{ part: 'errors' }}>Error groups</ToPart>}
    >
      <Bars
        label="Endpoints by share of server errors"
        bars={(asked.data ?? []).map(({ method, route, stats }) => ({
          id: `${method} ${route}`,
          value: stats.error_rate,
          tone: 'bad',
          shown: `${percent(stats.error_rate)} · ${count(stats.server_errors)} of ${count(stats.count)}`,
          label: (
            <ToPart change={{ part: 'calls', route, method, status: '5' }} title="Its failed calls">
              {method} {route}
            </ToPart>
          ),
        }))}
      />
    </Panel>
  );
}
