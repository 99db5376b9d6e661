/** Where limits count, whether that answers, and what becomes of requests when it does not. */
import { useGet } from '../../api/hooks.ts';
import { count } from '../../time/format.ts';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';

const NAMES: Record<string, string> = {
  memory: 'Memory of each worker; not shared, gone after a restart',
  sqlite: 'A file, shared by the workers of this host',
  postgresql: 'PostgreSQL, shared by all instances',
  redis: 'Redis, shared by all instances',
};

const MODES: Record<string, string> = {
  open: 'Requests go on (open)',
  closed: 'Requests are refused with 503 (closed)',
  degraded: "Requests are held against this instance's part of the limit (degraded)",
};

export function EnginePanel() {
  const asked = useGet('/rate-limits/engine', undefined, { fresh: true });
  const engine = asked.data;
  const figures = engine?.figures ?? {};
  const figure = (name: string) => (name in figures ? count(figures[name]) : null);
  return (
    <Panel
      title="Limiter"
      note="as the worker sees it that answers; counted since its start"
      of={asked}
      actions={
        engine &&
        (engine.enabled ? (
          <StatusBadge
            state={engine.available ? 'answers' : 'does not answer'}
            tone={engine.available ? 'good' : 'bad'}
          />
        ) : (
          <StatusBadge state="switched off" tone="warn" />
        ))
      }
    >
      {engine && (
        <KeyValue
          of={[
            ['Counts in', NAMES[engine.name] ?? engine.name],
            [
              'Circuit breaker',
              engine.available ? 'closed: the engine is asked' : 'open: the engine is not asked until it answers again',
            ],
            ['Instances', count(engine.instances)],
            ['When it fails', MODES[engine.failure_mode] ?? engine.failure_mode],
            ['Decisions it failed', count(engine.failures)],
            ['Requests undecided', figure('undecided')],
            ['… let through', figure('let_through_undecided')],
            ['… refused', figure('refused_undecided')],
            ['… held to a part', figure('decided_degraded')],
            ['Refused by limits', figure('limited')],
            ['Refused by blocks', figure('blocked')],
            ['Shared states', figure('overflowed')],
            ['Counts shed', figure('counts_shed')],
            ['Counts lost', figure('counts_lost')],
            ['Blocked get', `status ${engine.block_status}`],
            ['Escalating bans', engine.bans ? 'on' : 'off (CUSTODES_RATE_LIMIT_BANS=true turns them on)'],
          ]}
        />
      )}
    </Panel>
  );
}
