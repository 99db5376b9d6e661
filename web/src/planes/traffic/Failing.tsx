/** Where it fails: endpoints by the share of requests that ended in a server error, now and over time. */
import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { count, millis, percent } from '../../time/format.ts';
import { Bars } from '../../ui/Bars.tsx';
import { IconCircleCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { type Endpoint, useFilters, useRanking } from './model.ts';
import { ToPart } from './ToPart.tsx';

/** Endpoints that are listed. */
const LISTED = 8;

export function Failing() {
  const { asked, endpoints } = useRanking('error_rate', LISTED);
  return (
    <Panel
      title="Server errors by endpoint"
      note="share of its requests"
      of={asked}
      empty={asked.data !== undefined && endpoints.length === 0}
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
        bars={endpoints.map(({ method, route, stats }) => ({
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

/** Endpoints that have a line of their own: more cannot be told apart. */
const LINES = 5;

/** How the share of server errors of the worst endpoints goes; nothing where there is no error. */
export function FailingOverTime() {
  const { endpoints } = useRanking('error_rate', LINES);
  // A question for each line, always as many: those without an endpoint are not asked.
  const first = useCourse(endpoints[0]);
  const second = useCourse(endpoints[1]);
  const third = useCourse(endpoints[2]);
  const fourth = useCourse(endpoints[3]);
  const fifth = useCourse(endpoints[4]);
  const asked = [first, second, third, fourth, fifth].slice(0, endpoints.length);
  const data = useMemo<ChartData>(() => {
    const courses = [first.data, second.data, third.data, fourth.data, fifth.data]
      .slice(0, endpoints.length)
      .map((answer) => answer?.series ?? []);
    const times = [...new Set(courses.flatMap((series) => series.map((point) => millis(point.at))))].sort(
      (one, other) => one - other,
    );
    const series = endpoints.map(({ method, route }, place) => {
      const known = new Map(courses[place]?.map(({ at, stats }) => [millis(at), stats]));
      const values = times.map((at) => {
        const stats = known.get(at);
        return stats && stats.count > 0 ? stats.error_rate : null;
      });
      return { label: `${method} ${route}`, values };
    });
    return { times, series };
  }, [endpoints, first.data, second.data, third.data, fourth.data, fifth.data]);
  if (endpoints.length === 0) return null;
  return (
    <Panel title="Server errors over time" note={`the ${LINES} endpoints with the largest share`} of={asked}>
      <TimeChart label="Share of server errors over time by endpoint" data={data} format={percent} />
    </Panel>
  );
}

function useCourse(endpoint: Endpoint | undefined) {
  const { tenant } = useFilters();
  const { method, route } = endpoint ?? { method: '', route: '' };
  const query = { method, route, endpoints: 1, consumers: 1, ...(tenant ? { tenant } : {}) };
  return useTimed('/api-analytics', query, { enabled: endpoint !== undefined });
}
