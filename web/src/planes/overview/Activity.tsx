/** What happens just now, over all planes, newest first. It stands still while somebody reads. */
import { SegmentedControl } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { useId, useRef } from 'react';
import { type Happening, useHappenings } from '../../live/source.ts';
import { clock, count, duration, millis, moment } from '../../time/format.ts';
import { pause, resume, usePaused } from '../../time/now.ts';
import { IconBolt } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { HttpStatus, StatusBadge } from '../../ui/StatusBadge.tsx';
import { useSetSearch, useView } from '../../view/view.ts';
import style from './Activity.module.css';
import type { OverviewSearch } from './routes.ts';

const PLANES = [
  { value: 'all', label: 'All' },
  { value: 'traffic', label: 'API' },
  { value: 'inbound', label: 'Webhooks' },
  { value: 'audit', label: 'Audit' },
  { value: 'ratelimit', label: 'Limits' },
  { value: 'alerts', label: 'Alerts' },
];

/** Rows in the page at once. */
const SHOWN = 60;

export function Activity() {
  const view = useView();
  const paused = usePaused();
  const { events, shed } = useHappenings();
  const search: OverviewSearch = useSearch({ strict: false });
  const plane: string = search.plane ?? 'all';
  const set = useSetSearch();
  const held = useRef<readonly Happening[]>(events);
  const list = useRef<HTMLOListElement>(null);
  const id = useId();
  const still = paused || !view.live;
  // What one has read while it stood still is fainter afterwards: what is new stands out.
  const read = useRef({ still, upTo: 0 });
  if (still && !read.current.still) read.current.upTo = held.current[0]?.id ?? 0;
  read.current.still = still;
  if (!still) held.current = events;
  const newest = held.current[0]?.id ?? 0;
  const fresh = still ? events.filter((event) => event.id > newest) : [];
  const shown = held.current.filter(
    (event) => plane === 'all' || event.plane === plane || (plane === 'alerts' && event.plane === 'health'),
  );
  const waiting = fresh.filter((event) => plane === 'all' || event.plane === plane).length;

  function goOn(): void {
    list.current?.scrollTo({ top: 0 });
    resume(id);
    resume(`${id}scroll`);
    held.current = events;
  }
  return (
    <Panel
      title="Activity"
      note={shed > 0 ? `${count(shed)} events were too many to show` : undefined}
      actions={
        <SegmentedControl
          size="xs"
          data={PLANES}
          value={plane}
          onChange={(to) => set({ plane: to === 'all' ? undefined : to }, { replace: true })}
          aria-label="Which events"
          className={style.planes}
        />
      }
    >
      {/* biome-ignore lint/a11y/noStaticElementInteractions: hovering only holds the page still */}
      <div className={style.whole} onMouseEnter={() => pause(id)} onMouseLeave={() => resume(id)}>
        {waiting > 0 && (
          <button type="button" className={style.pill} onClick={goOn}>
            {count(waiting)} new
          </button>
        )}
        {shown.length === 0 ? (
          <Message
            icon={<IconBolt size={28} />}
            title={view.live ? 'Waiting for something to happen' : 'Live is off'}
            text={
              view.live
                ? 'Requests, webhooks, audit entries, blocks and alerts show up here at once.'
                : 'Turn it on above to follow what happens.'
            }
          />
        ) : (
          <ol
            ref={list}
            className={style.list}
            aria-label="Events, newest first"
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard (WCAG 2.1.1)
            tabIndex={0}
            onFocus={() => pause(id)}
            onBlur={() => resume(id)}
            onScroll={(event) => (event.currentTarget.scrollTop > 8 ? pause(`${id}scroll`) : resume(`${id}scroll`))}
          >
            {shown.slice(0, SHOWN).map((event) => (
              <Row key={event.id} event={event} old={!still && event.id <= read.current.upTo} />
            ))}
          </ol>
        )}
      </div>
    </Panel>
  );
}

function Row({ event, old }: { event: Happening; old: boolean }) {
  const { zone, now } = useView();
  const link = linkOf(event);
  const title = (
    <>
      {event.title}
      {event.count > 1 && <span className={style.count}> × {count(event.count)}</span>}
    </>
  );
  return (
    <li className={style.row} data-old={old || undefined}>
      <time className={style.when} dateTime={event.at} title={moment(event.at, zone, 'iso')}>
        {clock(millis(event.at), zone, now)}
      </time>
      <span className={style.what}>
        {event.status > 0 ? (
          <HttpStatus status={event.status} />
        ) : (
          <StatusBadge state={event.outcome} tone={toneOf(event)} label={event.kind} code />
        )}
      </span>
      <span className={style.title} title={event.title}>
        {link ? (
          <Link to={link.to} search={((kept: object) => ({ ...kept, ...link.search })) as never}>
            {title}
          </Link>
        ) : (
          title
        )}
      </span>
      {event.duration_ms > 0 && <span className={style.took}>{duration(event.duration_ms)}</span>}
    </li>
  );
}

function toneOf(event: Happening) {
  if (event.outcome === 'success') return 'good';
  return event.outcome === 'attention' || event.outcome === 'denied' ? 'warn' : 'bad';
}

/** Where an event leads: one thing where it names one, its trace otherwise. */
function linkOf(event: Happening): { to: string; search: Record<string, string> } | null {
  const [kind, id] = event.reference.split(':', 2);
  if (kind === 'webhook_event' && id) return { to: '/webhooks', search: { part: 'events', open: id } };
  if (kind === 'audit_log' && id) return { to: '/audit', search: { open: id } };
  return event.trace_id ? { to: '/api', search: { part: 'calls', trace: event.trace_id } } : null;
}
