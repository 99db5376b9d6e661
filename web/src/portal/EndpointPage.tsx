/** One endpoint: how it is and why, what it gets, what was sent to it, and what can be done with it. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { isProblem } from '../api/problem.ts';
import { SecretShown, type Shown } from '../planes/outbound/SecretShown.tsx';
import { count, duration, percent } from '../time/format.ts';
import { ConfirmButton } from '../ui/ConfirmButton.tsx';
import { IconAlertTriangle, IconInfoCircle } from '../ui/icons.ts';
import { KeyValue } from '../ui/KeyValue.tsx';
import { Message } from '../ui/Message.tsx';
import { StatusBadge } from '../ui/StatusBadge.tsx';
import { api, type Endpoint, type Health, type Session, sent } from './api.ts';
import { Card } from './Card.tsx';
import { Deliveries } from './Deliveries.tsx';
import { EndpointForm } from './EndpointForm.tsx';
import style from './Portal.module.css';
import { go, linkTo } from './place.ts';
import { CONDITIONS } from './words.ts';
import { useMoment } from './zone.ts';

export function EndpointPage({ id, session }: { id: string; session: Session }) {
  const params = { path: { id } };
  const asked = useQuery({
    queryKey: ['endpoint', id],
    queryFn: () => sent(api.GET('/api/endpoints/{id}', { params })),
  });
  const health = useQuery({
    queryKey: ['health', id],
    queryFn: () => sent(api.GET('/api/endpoints/{id}/health', { params })),
  });
  const moment = useMoment();
  const endpoint = asked.data;
  const judged = health.data;
  const said = CONDITIONS[judged?.condition ?? ''];
  const manage = session.scope === 'manage';
  const back = (
    <a className={style.back} {...linkTo({})}>
      ← All endpoints
    </a>
  );
  if (isProblem(asked.error) && asked.error.status === 404)
    return (
      <div className={style.stack}>
        {back}
        <Message title="There is no such endpoint" text="It may have been deleted." />
      </div>
    );
  return (
    <div className={style.stack}>
      {back}
      <h1 className={style.address}>{endpoint?.url ?? 'Endpoint'}</h1>
      {endpoint && manage && <Actions endpoint={endpoint} />}
      <Card
        title="How it is"
        of={health}
        actions={said && <StatusBadge state={judged?.condition ?? ''} tone={said.tone} label={said.label} />}
      >
        {judged && (
          <>
            {judged.reasons.length > 0 && (
              <ul className={style.reasons} data-bad={judged.condition === 'healthy' ? undefined : true}>
                {judged.reasons.map((reason) => (
                  <li key={reason}>
                    {judged.condition === 'healthy' ? (
                      <IconInfoCircle size={15} aria-hidden="true" />
                    ) : (
                      <IconAlertTriangle size={15} aria-hidden="true" />
                    )}
                    <span>{reason}</span>
                  </li>
                ))}
              </ul>
            )}
            {endpoint && judged.missed > 0 && <Missed endpoint={endpoint} health={judged} manage={manage} />}
            <div className={style.cards}>
              <Figure label="Success, last hour" value={percent(judged.recent.success_rate)} />
              <Figure label="Attempts, last hour" value={count(judged.recent.attempts)} />
              <Figure label="Typical time" value={duration(judged.recent.p50_ms)} />
              <Figure label="Time to answer p95" value={duration(judged.recent.p95_ms)} />
              <Figure label="Missed" value={count(judged.missed)} />
            </div>
          </>
        )}
      </Card>
      <Deliveries id={id} manage={manage && endpoint?.state === 'enabled'} />
      <Card title="What it gets" of={asked}>
        {endpoint && (
          <KeyValue
            of={[
              ['Description', endpoint.description],
              ['Events', endpoint.event_types.join(', ')],
              ['Headers', endpoint.header_names.join(', ')],
              ['Authentication', endpoint.auth === 'none' ? '' : endpoint.auth],
              ['Signature', `Standard Webhooks ${endpoint.signature === 'both' ? 'v1 and v1a' : endpoint.signature}`],
              ['At most', endpoint.rate ? `${endpoint.rate} a second` : ''],
              ['Delivered in all', count(endpoint.success_count)],
              ['Failed attempts in all', count(endpoint.failure_count)],
              ['Added', moment(endpoint.created_at)],
              ['Changed', moment(endpoint.updated_at)],
            ]}
          />
        )}
      </Card>
    </div>
  );
}

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <p className={style.figure}>
      <span>{label}</span>
      <b className="figures">{value}</b>
    </p>
  );
}

/** What it has missed: sent again by one button, which resumes it first where nothing is sent to it. */
function Missed({ endpoint, health, manage }: { endpoint: Endpoint; health: Health; manage: boolean }) {
  const queries = useQueryClient();
  const params = { path: { id: endpoint.id } };
  const on = endpoint.state === 'enabled';
  if (!manage)
    return <p className="faint">Who has a link to manage this endpoint can have what it missed sent again.</p>;

  async function recover(): Promise<void> {
    try {
      // What was held first, so that nothing that is emitted meanwhile gets ahead of it; then what was given up.
      if (!on) await sent(api.POST('/api/endpoints/{id}/resume', { params: { ...params, query: { recover: true } } }));
      await sent(api.POST('/api/endpoints/{id}/recover', { params }));
    } finally {
      void queries.invalidateQueries();
    }
  }
  const since = health.failing_since ? ' Make sure that it works again: else it is missed once more.' : '';
  return (
    <p>
      <ConfirmButton
        label={on ? 'Recover' : 'Resume and recover'}
        reason="none"
        done="What was missed is on its way"
        onConfirm={recover}
      >
        {on ? '' : 'It gets webhooks again. '}
        {`Everything it has missed is sent again, oldest first: ${count(health.missed)} in all.${since}`}
      </ConfirmButton>
    </p>
  );
}

function Actions({ endpoint }: { endpoint: Endpoint }) {
  const queries = useQueryClient();
  const [shown, setShown] = useState<Shown | null>(null);
  const params = { path: { id: endpoint.id } };
  const on = endpoint.state === 'enabled';

  async function done<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
    const answer = await sent(call);
    void queries.invalidateQueries();
    return answer;
  }
  async function remove(): Promise<void> {
    await sent(api.DELETE('/api/endpoints/{id}', { params }));
    go({}); // first, so that nobody asks for what is gone
    queries.removeQueries({ queryKey: ['endpoint', endpoint.id] });
    void queries.invalidateQueries({ queryKey: ['endpoints'] });
  }
  return (
    <div className={style.actions}>
      <EndpointForm key={endpoint.updated_at} endpoint={endpoint} />
      <ConfirmButton
        label="Send a test"
        reason="none"
        done="A test is on its way"
        onConfirm={() => done(api.POST('/api/endpoints/{id}/test', { params }))}
      >
        A test event is sent to it, once.
      </ConfirmButton>
      {on ? (
        <ConfirmButton
          label="Pause"
          reason="none"
          done="The endpoint is paused"
          onConfirm={() => done(api.POST('/api/endpoints/{id}/pause', { params }))}
        >
          Nothing is sent to it for now. What happens meanwhile is held, and sent when it is resumed.
        </ConfirmButton>
      ) : (
        <ConfirmButton
          label="Resume"
          reason="none"
          done="The endpoint gets webhooks again"
          onConfirm={() => done(api.POST('/api/endpoints/{id}/resume', { params }))}
        >
          {endpoint.state === 'paused'
            ? 'It gets webhooks again, those that were held included.'
            : 'It gets webhooks again. What it has missed stays until you recover it.'}
        </ConfirmButton>
      )}
      <ConfirmButton
        label="New secret"
        reason="none"
        done="The secret is replaced"
        onConfirm={async () => setShown(await done(api.POST('/api/endpoints/{id}/rotate-secret', { params })))}
      >
        A new signing secret is made and shown once. The one before stays valid for a day: meanwhile requests carry both
        signatures.
      </ConfirmButton>
      <ConfirmButton label="Delete" danger reason="none" done="The endpoint is deleted" onConfirm={remove}>
        {`Nothing is sent to ${endpoint.url} any more. This cannot be undone.`}
      </ConfirmButton>
      <SecretShown shown={shown} onClose={() => setShown(null)} />
    </div>
  );
}
