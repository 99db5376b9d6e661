/** The customer's endpoints, and what can be subscribed to. */
import { useQuery } from '@tanstack/react-query';
import { ago, count } from '../time/format.ts';
import { useNow } from '../time/now.ts';
import { IconChevronRight, IconWebhook } from '../ui/icons.ts';
import { Message } from '../ui/Message.tsx';
import { Snippet } from '../ui/Snippet.tsx';
import { StatusBadge } from '../ui/StatusBadge.tsx';
import { api, type Listed, type Session, sent } from './api.ts';
import { Card } from './Card.tsx';
import { EndpointForm } from './EndpointForm.tsx';
import style from './Portal.module.css';
import { linkTo } from './place.ts';
import { stateOf } from './words.ts';
import { useMoment } from './zone.ts';

export function Endpoints({ session }: { session: Session }) {
  const asked = useQuery({ queryKey: ['endpoints'], queryFn: () => sent(api.GET('/api/endpoints')) });
  const rows = asked.data ?? [];
  const manage = session.scope === 'manage';
  const full = rows.length >= session.max_endpoints;
  return (
    <div className={style.stack}>
      <div className={style.top}>
        <h1>Endpoints</h1>
        {manage && full && asked.data && <p className="faint">As many as there may be: {session.max_endpoints}</p>}
        {manage && <EndpointForm disabled={full} />}
      </div>
      <Card title="Where your webhooks go" of={asked} flush>
        {rows.length === 0 ? (
          <Message
            icon={<IconWebhook size={30} />}
            title="No endpoint yet"
            text={
              manage
                ? 'An endpoint is the address of your server that gets an HTTP request whenever something happens.'
                : 'Once an endpoint is added for you, it is shown here.'
            }
          />
        ) : (
          <ul className={style.rows} aria-label="Endpoints">
            {rows.map((row) => (
              <Row key={row.id} row={row} />
            ))}
          </ul>
        )}
      </Card>
      <Catalogue />
    </div>
  );
}

function Row({ row }: { row: Listed }) {
  const now = useNow();
  const moment = useMoment();
  const said = stateOf(row);
  const last = [row.last_success_at, row.last_failure_at]
    .filter((at) => at !== null)
    .sort()
    .at(-1);
  return (
    <li>
      <a className={style.row} {...linkTo({ endpoint: row.id })}>
        <span className={style.what}>
          <span className={`mono cut ${style.url}`} title={row.url}>
            {row.url}
          </span>
          <span className={`faint cut ${style.about}`}>
            {[row.description, row.event_types.join(', ')].filter(Boolean).join(' · ')}
          </span>
        </span>
        <span className={style.figures}>
          <StatusBadge state={row.condition} tone={said.tone} label={said.label} />
          <span className="faint figures">
            {count(row.success_count)} delivered
            {last && (
              <>
                {' · '}
                <time dateTime={last} title={moment(last, 'iso')}>
                  {ago(last, now)}
                </time>
              </>
            )}
          </span>
        </span>
        <IconChevronRight size={16} aria-hidden="true" className="faint" />
      </a>
    </li>
  );
}

/** Types of events, to subscribe to. */
export function useCatalogue() {
  return useQuery({
    queryKey: ['event-types'],
    queryFn: () => sent(api.GET('/api/event-types')),
    refetchInterval: false,
    staleTime: 60_000,
  });
}

function Catalogue() {
  const asked = useCatalogue();
  const types = asked.data ?? [];
  if (asked.data && types.length === 0) return null;
  return (
    <Card title="Events" note="what you can subscribe to" of={asked}>
      {types.map((type) => (
        <details key={type.name} className={style.type}>
          <summary>
            <b className="mono">{type.name}</b> <span className="faint">{type.description}</span>
          </summary>
          {type.example !== null && type.example !== undefined && (
            <Snippet text={JSON.stringify(type.example, null, 2)} label={`Example of ${type.name}`} />
          )}
          {type.payload_schema ? (
            <Snippet text={JSON.stringify(type.payload_schema, null, 2)} label={`Schema of ${type.name}`} />
          ) : (
            <p className="faint">Its payload may hold anything.</p>
          )}
        </details>
      ))}
    </Card>
  );
}
