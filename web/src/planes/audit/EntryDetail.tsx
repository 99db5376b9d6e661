/** One entry in full, as a drawer over the list and as a page of its own, with its review, its changes and its trace. */
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useCallback } from 'react';
import { useGet } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { count } from '../../time/format.ts';
import { DetailDrawer, Section } from '../../ui/Detail.tsx';
import { Diff } from '../../ui/Diff.tsx';
import { JsonTree } from '../../ui/JsonTree.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { TraceTimeline } from '../../ui/TraceTimeline.tsx';
import { useMoment, useSetSearch } from '../../view/view.ts';
import style from './Entry.module.css';
import { type Entry, reference, riskTone } from './model.ts';
import { Review } from './Review.tsx';

/** Where the trail has the issuer of an administrator's profile. */
const ACTOR_ISSUER = 'actor_issuer';

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function EntryDrawer({ id }: { id: string | undefined }) {
  const set = useSetSearch();
  const close = useCallback(() => set({ open: undefined }), [set]);
  const known = id !== undefined && ID.test(id);
  return (
    <DetailDrawer title="Audit entry" href={`${boot.base}/audit/${id ?? ''}`} opened={known} onClose={close}>
      {known && <EntryDetail key={id} id={id} onDecided={close} />}
    </DetailDrawer>
  );
}

export function EntryPage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string };
  const navigate = useNavigate();
  return (
    <Page
      title="Audit entry"
      back={
        <Link to="/audit" search={(kept) => kept}>
          Security audit
        </Link>
      }
    >
      <EntryDetail
        key={id}
        id={id}
        onDecided={() =>
          void navigate({ to: '/audit', search: ((kept: object) => ({ ...kept, open: undefined })) as never })
        }
      />
    </Page>
  );
}

function EntryDetail({ id, onDecided }: { id: string; onDecided: () => void }) {
  const asked = useGet('/audit-logs/{id}', {}, { path: { id }, fresh: true });
  const entry = asked.data;
  return (
    <>
      <Panel title={entry?.action ?? 'Entry'} note={entry && <Risk entry={entry} />} of={asked} height={400}>
        {entry && <Whole entry={entry} onDecided={onDecided} />}
      </Panel>
      {entry && <TraceTimeline traceId={entry.context.trace_id} here={entry.id} />}
    </>
  );
}

function Risk({ entry }: { entry: Entry }) {
  return <StatusBadge state="risk" tone={riskTone(entry.risk_score)} label={`risk ${entry.risk_score}`} />;
}

function Whole({ entry, onDecided }: { entry: Entry; onDecided: () => void }) {
  const moment = useMoment();
  const context = entry.context;
  const written = (at: string) => moment(at, 'milli');
  return (
    <div className={style.whole}>
      {(entry.flagged || entry.review) && (
        <Section title="Review">
          <Review entry={entry} onDecided={onDecided} />
        </Section>
      )}
      {entry.occurrences > 1 && (
        <p className={style.many}>
          <Link to="/audit" search={{ tab: 'entries', flag: entry.id } as never}>
            {count(entry.occurrences)} entries
          </Link>{' '}
          belong to this flag, the last one of {moment(entry.last_at ?? entry.recorded_at)}. One verdict is about all of
          them.
        </p>
      )}
      {entry.flag_id && entry.flag_id !== entry.id && (
        <p className={style.many}>
          <Link to="/audit" search={((kept: object) => ({ ...kept, open: entry.flag_id })) as never}>
            The flag that it belongs to
          </Link>
        </p>
      )}
      {entry.risk_reasons.length > 0 && (
        <Section title={`Why the risk is ${entry.risk_score} of 100`}>
          <ul className={style.reasons}>
            {entry.risk_reasons.map((reason) => (
              <li key={reason.rule}>
                <b className="figures">+{reason.points}</b> {reason.sentence}
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Section title="What happened">
        <KeyValue
          of={[
            ['When', written(entry.time)],
            ['Recorded', written(entry.recorded_at) === written(entry.time) ? '' : written(entry.recorded_at)],
            ['Actor', <Who key="actor" who={entry.actor} />],
            ['Known by', issuer(context.extra[ACTOR_ISSUER])],
            ['In whose name', entry.impersonator && <Who who={entry.impersonator} />],
            ['With the rights of', entry.effective && <Who who={entry.effective} />],
            ['Action', `${entry.action} (${entry.category}, ${entry.kind})`],
            ['Outcome', <StatusBadge key="outcome" state={entry.outcome} />],
            ['On', entry.targets.length > 0 ? <Targets key="targets" entry={entry} /> : null],
            ['Reason', entry.reason],
            ['Address', context.ip && <Find name="ip" value={context.ip} />],
            ['User agent', context.user_agent],
            ['Signed in by', context.auth_method],
            ['Session', context.session && <span className="mono">{context.session}</span>],
            ['Request', context.request_id && <span className="mono">{context.request_id}</span>],
            ['Recorded by', entry.observer],
            [
              'Labels',
              Object.entries(entry.labels)
                .map(([name, value]) => `${name}: ${value}`)
                .join(', '),
            ],
            ['Tenant', entry.tenant],
            ['Place in the trail', count(entry.sequence)],
            [
              'Id',
              <span key="id" className="mono">
                {entry.id}
              </span>,
            ],
          ]}
        />
      </Section>
      {entry.changes.length > 0 && (
        <Section title="What changed">
          <Diff changes={entry.changes.map(({ path, old, new: after }) => ({ path, before: old, after }))} />
        </Section>
      )}
      {Object.keys(context.extra).length > 0 && (
        <Section title="Beside it">
          <JsonTree value={context.extra} label="What was recorded beside it" />
        </Section>
      )}
      {!entry.flagged && !entry.review && (
        <Section title="Review">
          <Review entry={entry} />
        </Section>
      )}
    </div>
  );
}

/** Say who vouches for the actor: two issuers may know different people by the same name. */
function issuer(known: unknown): string {
  if (typeof known !== 'string') return '';
  return known === 'local' ? 'this install' : known === 'host' ? 'the app that it is part of' : known;
}

function Who({ who }: { who: Entry['actor'] }) {
  const written = reference(who);
  return (
    <>
      <Link to="/audit" search={((kept: object) => ({ ...kept, who: written, open: undefined })) as never}>
        {written}
      </Link>
      {who.name && ` ${who.name}`}
    </>
  );
}

function Find({ name, value }: { name: string; value: string }) {
  return (
    <Link
      to="/audit"
      search={((kept: object) => ({ ...kept, tab: 'entries', [name]: value, open: undefined })) as never}
    >
      {value}
    </Link>
  );
}

function Targets({ entry }: { entry: Entry }) {
  return (
    <ul className={style.targets}>
      {entry.targets.slice(0, 20).map((target) => (
        <li key={reference(target)}>
          <Find name="target" value={reference(target)} />
          {target.name && ` ${target.name}`}
        </li>
      ))}
      {entry.targets.length > 20 && <li className="faint">{count(entry.targets.length - 20)} more</li>}
    </ul>
  );
}
