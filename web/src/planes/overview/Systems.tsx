import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { TABS } from '../../alerts/systems.ts';
import { useGet } from '../../api/hooks.ts';
import type { Happening } from '../../live/source.ts';
import { useFresh } from '../../live/useFresh.ts';
import { Panel } from '../../ui/Panel.tsx';
import { StateIcon, StatusBadge } from '../../ui/StatusBadge.tsx';
import style from './Systems.module.css';

const KEYS = [['/overview']];
const concerns = (event: Happening) => event.plane === 'health';

/** The health of every system, with the reasons where one is not well. */
export function Systems() {
  const asked = useGet('/overview', undefined, { fresh: true });
  useFresh(KEYS, concerns);
  const state = asked.data?.state;
  const unwell = asked.data?.systems.filter((system) => system.state !== 'healthy') ?? [];
  // For somebody of one tenant some systems are judged by its own doing, and the others are those of all.
  const ofTenant = asked.data?.systems.some((system) => system.own) ?? false;
  const why = (system: (typeof unwell)[number]) =>
    system.reasons.length === 0 && ofTenant && !system.own
      ? ['is shared by all tenants; those who run the install see why']
      : system.reasons;
  return (
    <Panel
      title="Health"
      of={asked}
      height={76}
      actions={state && <StatusBadge state={state} label={state === 'healthy' ? 'All systems healthy' : state} />}
    >
      <ul className={style.systems}>
        {asked.data?.systems.map(({ system, name, state: its, reasons, own }) => (
          <li key={system} className={style.system} data-state={its}>
            <StateIcon state={its} />
            <span className={style.told}>
              <Named system={system} name={name} className={style.name} />
              <span className={its === 'healthy' ? 'unseen' : style.state}>
                {its}
                {ofTenant && !own && ', of all tenants'}
              </span>
            </span>
            {reasons.length > 0 && <span className="unseen">{reasons.join(' ')}</span>}
          </li>
        ))}
      </ul>
      {unwell.some((system) => why(system).length > 0) && (
        <ul className={style.reasons} aria-hidden="true">
          {unwell.flatMap((one) =>
            why(one).map((reason) => (
              <li key={`${one.system} ${reason}`} data-state={one.state}>
                <StateIcon state={one.state} />
                <span>
                  <b>{one.name}</b> {reason}
                </span>
              </li>
            )),
          )}
        </ul>
      )}
    </Panel>
  );
}

interface NamedProps {
  system: string;
  name: string;
  className?: string | undefined;
}

function Named({ system, name, className }: NamedProps): ReactNode {
  const to = TABS[system];
  if (!to) return <span className={className}>{name}</span>;
  return (
    <Link to={to} search={(kept) => kept} className={className}>
      {name}
    </Link>
  );
}
