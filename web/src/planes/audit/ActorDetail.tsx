/** How one actor behaves: since when it is known, its usual hours, where it comes from, what it does. */
import { Link, useParams } from '@tanstack/react-router';
import type { Schemas } from '../../api/client.ts';
import { useTimed } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { ago, count, percent, zoneOffset } from '../../time/format.ts';
import { Bars } from '../../ui/Bars.tsx';
import { DetailDrawer, Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Message } from '../../ui/Message.tsx';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import style from './Actor.module.css';

type Actor = Schemas['ActorModel'];

export function ActorDrawer({ actor }: { actor: string | undefined }) {
  const set = useSetSearch();
  return (
    <DetailDrawer
      title="Actor"
      href={`${boot.base}/audit/actors/${encodeURIComponent(actor ?? '')}`}
      opened={actor !== undefined}
      onClose={() => set({ who: undefined })}
    >
      {actor !== undefined && <ActorDetail key={actor} actor={actor} />}
    </DetailDrawer>
  );
}

export function ActorPage() {
  const { actor = '' } = useParams({ strict: false }) as { actor?: string };
  return (
    <Page
      title="Actor"
      back={
        <Link to="/audit" search={((kept: object) => ({ ...kept, tab: 'actors', who: undefined })) as never}>
          All actors
        </Link>
      }
    >
      <ActorDetail key={actor} actor={actor} />
    </Page>
  );
}

/** Minutes east of UTC of the zone that the page is shown in. */
function offsetMinutes(offset: string): number {
  const found = /UTC([+−])(\d\d):(\d\d)/.exec(offset);
  if (!found) return 0;
  const minutes = Number(found[2]) * 60 + Number(found[3]);
  return found[1] === '−' ? -minutes : minutes;
}

function ActorDetail({ actor }: { actor: string }) {
  const { zone, now } = useView();
  const offset = zoneOffset(zone, now);
  const asked = useTimed('/audit-actor', { actor, utc_offset: offsetMinutes(offset) });
  const found = asked.data;
  return (
    <Panel title={actor} note={found?.name} of={asked} height={420}>
      {found && <Whole of={found} offset={offset} />}
    </Panel>
  );
}

function Whole({ of, offset }: { of: Actor; offset: string }) {
  const moment = useMoment();
  const { now } = useView();
  return (
    <div className={style.whole}>
      <KeyValue
        of={[
          ['First seen', `${moment(of.first_seen_at)} (${ago(of.first_seen_at, now)})`],
          ['Last seen', `${moment(of.last_seen_at)} (${ago(of.last_seen_at, now)})`],
          ['Entries', `${count(of.events)} in the time range`],
          ['Not successful', `${count(of.failures)}${of.events > 0 ? ` (${percent(of.failures / of.events)})` : ''}`],
          ['Of high risk', count(of.flagged)],
          ['In its name', of.impersonated > 0 ? `${count(of.impersonated)} by somebody else` : null],
          ['Risk', `mean ${of.mean_risk.toFixed(1)}, highest ${of.max_risk}`],
        ]}
      />
      <p className={style.links}>
        <Link to="/audit" search={{ tab: 'entries', actor: of.actor } as never}>
          Its entries
        </Link>
      </p>
      {of.events === 0 ? (
        <Message title="Nothing in this stretch of time" text="Look further back to see how it behaves." />
      ) : (
        <>
          <Section title={`Usual hours (${offset})`}>
            <Hours hours={of.hours} />
          </Section>
          <Section title="Addresses">
            <Bars label="Addresses by entries" bars={of.addresses.map((one) => habit(one, 'ip'))} />
          </Section>
          <Section title="Actions">
            <Bars
              label="Actions by entries"
              bars={of.actions.slice(0, 12).map((one) => ({
                id: one.action,
                label: one.action,
                value: one.events,
                shown: one.failures > 0 ? `${count(one.events)}, ${count(one.failures)} failed` : count(one.events),
              }))}
            />
          </Section>
          {of.devices.length > 0 && (
            <Section title="User agents">
              <Bars label="User agents by entries" bars={of.devices.slice(0, 8).map((one) => habit(one))} />
            </Section>
          )}
        </>
      )}
    </div>
  );
}

function habit(one: Actor['addresses'][number], filter?: string) {
  const label = filter ? (
    <Link
      to="/audit"
      search={((kept: object) => ({ ...kept, tab: 'entries', [filter]: one.value, who: undefined })) as never}
    >
      {one.value}
    </Link>
  ) : (
    one.value
  );
  const shown = one.failures > 0 ? `${count(one.events)}, ${count(one.failures)} failed` : count(one.events);
  return { id: one.value, label, value: one.events, shown };
}

/** Entries by hour of the day: a column each, read out one by one. */
function Hours({ hours }: { hours: readonly number[] }) {
  const most = Math.max(1, ...hours);
  return (
    <ol className={style.hours} aria-label="Entries by hour of the day">
      {hours.map((entries, hour) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: an hour is its place
        <li key={hour} title={`${hour}:00 – ${count(entries)} entries`}>
          <span className={style.column} style={{ height: `${(entries / most) * 56}px` }} data-some={entries > 0} />
          <span className={style.hour} aria-hidden="true">
            {hour % 6 === 0 ? hour : ''}
          </span>
          <span className="unseen">
            {hour}:00, {count(entries)} entries
          </span>
        </li>
      ))}
    </ol>
  );
}
