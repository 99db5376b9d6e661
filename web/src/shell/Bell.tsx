/** What needs somebody now, from every page: alerts that fire and nobody has seen; the newest is told when it comes. */
import { ActionIcon, Popover } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { Link } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { IncidentTitle } from '../alerts/IncidentTitle.tsx';
import { byUrgency, told } from '../alerts/incidents.ts';
import { useGet } from '../api/hooks.ts';
import { type Happening, useHear } from '../live/source.ts';
import { useFresh } from '../live/useFresh.ts';
import { ago, count } from '../time/format.ts';
import { IconBell, IconCircleCheck } from '../ui/icons.ts';
import { Message } from '../ui/Message.tsx';
import { StatusBadge } from '../ui/StatusBadge.tsx';
import { useMoment, useView } from '../view/view.ts';
import style from './Bell.module.css';
import { healthTold } from './healthTold.ts';

const KEYS = [['/alerts']];
const isNews = ({ kind, plane }: Happening) =>
  kind === 'alert.firing' || kind === 'alert.resolved' || plane === 'health';

/** How many are shown; the overview has them all. */
const SHOWN = 8;

export function Bell() {
  const [opened, setOpened] = useState(false);
  const asked = useGet('/alerts', { state: 'firing', limit: 200 }, { fresh: true });
  useFresh(KEYS, isNews);
  useTold();
  const { now } = useView();
  const moment = useMoment();
  const firing = asked.data?.items ?? [];
  const unseen = byUrgency(firing).filter((incident) => !incident.acknowledged_by);
  const words = unseen.length === 0 ? 'Notifications: none' : `Notifications: ${count(unseen.length)} open`;
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="bottom-end"
      trapFocus
      returnFocus
      shadow="md"
      withinPortal
      width={360}
    >
      <Popover.Target>
        <ActionIcon
          size="lg"
          aria-label={words}
          aria-haspopup="dialog"
          aria-expanded={opened}
          className={style.bell}
          onClick={() => setOpened(!opened)}
        >
          <IconBell size={18} />
          {unseen.length > 0 && (
            <span className={style.badge} aria-hidden="true">
              {unseen.length > 99 ? '99+' : unseen.length}
            </span>
          )}
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown aria-label="Notifications" className={style.sheet}>
        {opened && (
          <>
            {unseen.length === 0 && (
              <Message
                icon={<IconCircleCheck size={28} />}
                title="Nothing needs you"
                text={firing.length > 0 ? `${count(firing.length)} open, all seen by somebody` : 'No alert fires'}
              />
            )}
            <ul className={style.list}>
              {unseen.slice(0, SHOWN).map((incident) => (
                <li key={incident.id} className={style.item}>
                  <StatusBadge state={incident.severity} />
                  <time className="faint" dateTime={incident.started_at} title={moment(incident.started_at, 'iso')}>
                    {ago(incident.started_at, now)}
                  </time>
                  <span className={style.text}>
                    <IncidentTitle incident={incident} className={style.title} onOpen={() => setOpened(false)} />
                    <span className="faint">{told(incident).detail}</span>
                  </span>
                </li>
              ))}
            </ul>
            <Link
              to="/"
              search={((before: object) => before) as never}
              hash="open-alerts"
              className={style.all}
              data-autofocus
              onClick={() => setOpened(false)}
            >
              {unseen.length > SHOWN ? `All ${count(unseen.length)} on the overview` : 'Open the overview'}
            </Link>
          </>
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

/** Says what begins to fire, what is over, and what becomes of systems: of these in one notice that grows. */
function useTold(): void {
  const changes = useRef<Happening[]>([]);
  const hear = useRef((events: readonly Happening[]) => {
    const news = events.filter(isNews);
    for (const event of news.filter(({ plane }) => plane !== 'health').slice(-3)) {
      const well = event.outcome === 'success';
      notifications.show({
        ...notice(well),
        id: `${event.kind} ${event.reference || event.title}`,
        title: TITLES[event.kind],
        message: event.title,
        color: well ? 'teal' : 'red',
      });
    }
    const health = news.filter(({ plane }) => plane === 'health');
    if (health.length === 0) return;
    const tell = changes.current.length > 0 ? notifications.update : notifications.show;
    changes.current.push(...health);
    const { well, ...told } = healthTold(changes.current);
    tell({
      ...notice(well),
      ...told,
      id: 'health',
      styles: { description: { whiteSpace: 'pre-line' } },
      onClose: () => {
        changes.current = [];
      },
    });
  });
  useHear(hear.current);
}

const notice = (well: boolean) => ({ autoClose: well ? 5_000 : 8_000, closeButtonProps: { 'aria-label': 'Close' } });

const TITLES: Record<string, string> = {
  'alert.firing': 'An alert fires',
  'alert.resolved': 'An alert is over',
};
