import { type Answer, useGet, useTimed } from '../../api/hooks.ts';
import { useHappenings } from '../../live/source.ts';
import { ago, bytes, compact, count, duration } from '../../time/format.ts';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useMoment, useView } from '../../view/view.ts';
import type { ApiHealth } from './model.ts';
import style from './Own.module.css';

/** How Custodes itself is doing: what it costs, what waits, what it had to leave out. */
export function Own({ api }: { api: ApiHealth }) {
  const moment = useMoment();
  const { now } = useView();
  const health = useGet('/health', undefined, { fresh: true });
  const cpu = useTop('process.cpu.percent', 'avg', api);
  const memory = useTop('process.memory.rss', 'last', api);
  const lag = useTop('process.event_loop.lag', 'max', api);
  const { shed } = useHappenings();
  const own = api.data?.monitor;
  const storage = health.data?.systems.find((system) => system.system === 'storage')?.figures;
  const audit = health.data?.systems.find((system) => system.system === 'audit')?.figures;
  return (
    <Panel
      title="Custodes itself"
      note="in the process that answers, since its start"
      of={[api, health]}
      empty={own === null}
      height={120}
    >
      {own && (
        <>
          <Cost of={own.own_time} />
          <div className={style.parts}>
            <KeyValue
              of={[
                ['Calls recorded', count(own.recorded)],
                ['Calls in no figure', count(own.shed_requests)],
                ['Single calls not kept', count(own.shed_calls)],
                ['In the overflow series', count(own.overflowed)],
              ]}
            />
            <KeyValue
              of={[
                ['Call buffer', `${compact(own.waiting_calls)} of ${compact(own.capacity)}`],
                ['Batches that wait', count(own.waiting_batches)],
                [
                  'Last flush',
                  <span
                    key="flush"
                    title={moment(own.last_success_at, 'iso')}
                  >{`${duration(own.last_flush_ms)}, ${ago(own.last_success_at, now)}`}</span>,
                ],
                ['Refused flushes', count(own.flush_failures)],
              ]}
            />
            <KeyValue
              of={[
                ['Store writes in', storage?.write_ms === undefined ? null : duration(storage.write_ms)],
                ['Store reads in', storage?.read_ms === undefined ? null : duration(storage.read_ms)],
                ['Writes that wait', storage?.waiting_writes === undefined ? null : count(storage.waiting_writes)],
                ['Audit signals waiting', audit?.signals_waiting === undefined ? null : count(audit.signals_waiting)],
                ['Audit signals shed', audit?.signals_shed === undefined ? null : count(audit.signals_shed)],
              ]}
            />
            <KeyValue
              of={[
                ...(cpu.data?.items ?? [])
                  .slice(0, 2)
                  .map(({ value, figure }) => [`CPU of ${value}`, `${figure.toFixed(1)} %`] as const),
                ...(memory.data?.items ?? [])
                  .slice(0, 2)
                  .map(({ value, figure }) => [`Memory of ${value}`, bytes(figure)] as const),
                ...(lag.data?.items ?? [])
                  .slice(0, 1)
                  .map(({ figure }) => ['Event loop late by', duration(figure * 1_000)] as const),
                ['Live events not shown', count(shed)],
              ]}
            />
          </div>
        </>
      )}
    </Panel>
  );
}

/** What a request costs that passes us, in a sentence. */
function Cost({ of }: { of: NonNullable<Answer<'/api-health'>['monitor']>['own_time'] }) {
  return (
    <p className={style.cost}>
      {of ? (
        <>
          A request takes <b>{duration(of.mean_ms)}</b> longer than without Custodes, on average; half of them{' '}
          <b>{duration(of.p50_ms)}</b> at most, 99 % <b>{duration(of.p99_ms)}</b>.{' '}
          <span className="faint">
            The middleware and the counting of limits are in it, your identify hook is not. Measured on a sample of the
            requests: {count(of.weighed)} so far, the latest thousand at most.
          </span>
        </>
      ) : (
        <span className="faint">
          How much longer a request takes with Custodes is measured on a sample of the requests: none is in it yet.
        </span>
      )}
    </p>
  );
}

/** A measurement of each host, asked once the figures above are there. */
function useTop(name: string, aggregation: 'avg' | 'last' | 'max', api: ApiHealth) {
  const query = { name, by: 'host', aggregation };
  return useTimed('/system-metrics/top', query, { enabled: api.data !== undefined });
}
