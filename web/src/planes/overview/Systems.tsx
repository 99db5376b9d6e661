import { useGet } from '../../api/hooks.ts';
import type { Happening } from '../../live/source.ts';
import { useFresh } from '../../live/useFresh.ts';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import style from './Systems.module.css';

const NAMES: Record<string, string> = {
  storage: 'Storage',
  webhooks: 'Webhooks',
  webhook_completeness: 'Completeness',
  outgoing_webhooks: 'Webhooks out',
  api: 'API',
  rate_limits: 'Rate limits',
  audit: 'Audit trail',
  metrics: 'Metrics',
  alerts: 'Alerts',
  identity: 'Sign-in',
};

const KEYS = [['/overview']];
const concerns = (event: Happening) => event.plane === 'health';

/** The health of every system, with the reasons where one is not well. */
export function Systems() {
  const asked = useGet('/overview', undefined, { fresh: true });
  useFresh(KEYS, concerns);
  const state = asked.data?.state;
  const unwell = asked.data?.systems.filter((system) => system.state !== 'healthy') ?? [];
  return (
    <Panel
      title="Health"
      of={asked}
      height={64}
      actions={state && <StatusBadge state={state} label={state === 'healthy' ? 'All systems healthy' : state} />}
    >
      <ul className={style.systems}>
        {asked.data?.systems.map(({ system, state: its, reasons }) => (
          <li key={system} className={style.system} data-state={its}>
            <span className={style.name}>{NAMES[system] ?? system}</span>
            <StatusBadge state={its} />
            {reasons.length > 0 && <span className="unseen">{reasons.join(' ')}</span>}
          </li>
        ))}
      </ul>
      {unwell.some((system) => system.reasons.length > 0) && (
        <ul className={style.reasons} aria-hidden="true">
          {unwell.flatMap(({ system, reasons }) =>
            reasons.map((reason) => (
              <li key={`${system} ${reason}`}>
                <b>{NAMES[system] ?? system}:</b> {reason}
              </li>
            )),
          )}
        </ul>
      )}
    </Panel>
  );
}
