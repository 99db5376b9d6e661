/** One endpoint in full: how it is and why, what it asks for, what was sent to it, and what can be done with it. */
import { Skeleton } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { api } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { useMay } from '../../api/may.ts';
import { useFresh } from '../../live/useFresh.ts';
import { count, duration, percent } from '../../time/format.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment } from '../../view/view.ts';
import { Deliveries } from './Deliveries.tsx';
import { EndpointForm } from './EndpointForm.tsx';
import { concerns, type Endpoint, type Health, KEYS, TONES, useAskAgain } from './model.ts';
import style from './Outbound.module.css';
import { SecretShown, type Shown } from './SecretShown.tsx';

const Courses = lazy(() => import('./Courses.tsx').then((module) => ({ default: module.Courses })));

export function EndpointDetail({ id }: { id: string }) {
  const asked = useGet('/webhook-configurations/{id}', undefined, { path: { id }, fresh: true });
  const health = useGet('/webhook-configurations/{id}/health', undefined, { path: { id }, fresh: true });
  const moment = useMoment();
  useFresh(KEYS, concerns);
  const endpoint = asked.data;
  const judged = health.data;
  return (
    <div className={style.stack}>
      <Panel title={endpoint ? endpoint.url : 'Endpoint'} of={[asked, health]}>
        {endpoint && judged && (
          <div className={style.stack}>
            <Actions endpoint={endpoint} health={judged} />
            <div className={style.two}>
              <Section title="How it is">
                <p className={style.line}>
                  <StatusBadge state={judged.condition} tone={TONES[judged.condition]} />
                </p>
                {judged.reasons.length > 0 && (
                  <ul className={style.reasons}>
                    {judged.reasons.map((reason) => (
                      <li key={reason}>{reason}</li>
                    ))}
                  </ul>
                )}
                <KeyValue
                  of={[
                    ['Success, last hour', percent(judged.recent.success_rate)],
                    ['Attempts, last hour', count(judged.recent.attempts)],
                    [
                      'Time, last hour',
                      `${duration(judged.recent.p50_ms)} p50, ${duration(judged.recent.p95_ms)} p95, ${duration(judged.recent.p99_ms)} p99`,
                    ],
                    ['Delivered in all', count(endpoint.success_count)],
                    ['Failed attempts in all', count(endpoint.failure_count)],
                    ['Missed', count(judged.missed)],
                  ]}
                />
              </Section>
              <Section title="What it asks for">
                <KeyValue
                  of={[
                    ['Description', endpoint.description],
                    ['Forwards', endpoint.source && `what the source ${endpoint.source} sends`],
                    ['Tenant', endpoint.tenant],
                    ['Event types', endpoint.event_types.join(', ')],
                    [
                      'Payload filter',
                      Object.keys(endpoint.options?.match ?? {}).length > 0
                        ? JSON.stringify(endpoint.options.match)
                        : '',
                    ],
                    ['Channels', (endpoint.options.channels ?? []).join(', ')],
                    ['Payload version', endpoint.options.payload_version || 'the newest'],
                    ['Headers', Object.keys(endpoint.options.headers ?? {}).join(', ')],
                    ['Authentication', endpoint.options.auth],
                    ['Signature', endpoint.options.signature],
                    ['Rate', endpoint.options.rate ? `${endpoint.options.rate} a second` : 'as many as come'],
                    ['At the same time', `${endpoint.options.concurrency} from each process`],
                    ['Waits', endpoint.retry.schedule_seconds?.map((wait) => duration(wait * 1_000)).join(', ')],
                    ['Added', moment(endpoint.created_at)],
                    ['Changed', moment(endpoint.updated_at)],
                    [
                      'Id',
                      <span key="id" className="mono">
                        {endpoint.id}
                      </span>,
                    ],
                  ]}
                />
              </Section>
            </div>
          </div>
        )}
      </Panel>
      <Suspense fallback={<Skeleton height={260} radius="sm" />}>
        <Courses endpointId={id} />
      </Suspense>
      <Deliveries endpointId={id} />
    </div>
  );
}

function Actions({ endpoint, health }: { endpoint: Endpoint; health: Health }) {
  const may = useMay();
  const again = useAskAgain();
  const navigate = useNavigate();
  const [shown, setShown] = useState<Shown | null>(null);
  const params = { path: { id: endpoint.id } };
  const on = endpoint.state === 'enabled';

  async function done(call: Promise<{ data?: unknown; error?: unknown; response: Response }>): Promise<unknown> {
    const answer = await sent<unknown>(call);
    again();
    return answer;
  }
  async function remove(): Promise<void> {
    await sent(api.DELETE('/api/admin/enterprise/webhook-configurations/{id}', { params }));
    await navigate({ to: '/webhooks/endpoints' }); // first, so that nobody asks for what is gone
    again();
  }
  return (
    <div className={style.actions}>
      {may('outbound_update_webhook_configuration') && <EndpointForm key={endpoint.updated_at} endpoint={endpoint} />}
      <ConfirmAction
        operation="outbound_test_webhook_configuration"
        label="Send a test"
        reason="none"
        done="A test is on its way"
        onConfirm={() => done(api.POST('/api/admin/enterprise/webhook-configurations/{id}/test', { params }))}
      >
        An event of type custodes.test is sent to it, once.
      </ConfirmAction>
      {on && (
        <ConfirmAction
          operation="outbound_pause_webhook_configuration"
          label="Pause"
          done="The endpoint is paused"
          onConfirm={(reason) =>
            done(api.POST('/api/admin/enterprise/webhook-configurations/{id}/pause', { params, body: { reason } }))
          }
        >
          Nothing is sent to it for now. What is emitted meanwhile is held, and sent when it is resumed.
        </ConfirmAction>
      )}
      {!on && (
        <ConfirmAction
          operation="outbound_resume_webhook_configuration"
          label="Resume"
          reason="none"
          done="The endpoint is enabled"
          onConfirm={() =>
            done(api.POST('/api/admin/enterprise/webhook-configurations/{id}/resume', { params, body: {} }))
          }
        >
          {endpoint.state === 'paused'
            ? 'It gets webhooks again, those that were held included.'
            : 'It gets webhooks again. What it has missed stays until it is recovered.'}
        </ConfirmAction>
      )}
      {on && health.missed > 0 && (
        <ConfirmAction
          operation="outbound_recover_webhook_configuration"
          label="Recover"
          reason="none"
          done="What was missed is on its way"
          onConfirm={() =>
            done(api.POST('/api/admin/enterprise/webhook-configurations/{id}/recover', { params, body: {} }))
          }
        >
          {`Everything it has missed, whenever that was, is sent again, oldest first: ${count(health.missed)} in all.`}
        </ConfirmAction>
      )}
      <ConfirmAction
        operation="outbound_rotate_webhook_configuration_secret"
        label="Rotate the secret"
        reason="none"
        done="The secret is rotated"
        onConfirm={async () => {
          const call = api.POST('/api/admin/enterprise/webhook-configurations/{id}/rotate-secret', { params });
          setShown((await done(call)) as Shown);
        }}
      >
        A new secret is made and shown once. The one before stays valid for a day: meanwhile deliveries carry both
        signatures.
      </ConfirmAction>
      <ConfirmAction
        operation="outbound_delete_webhook_configuration"
        label="Delete"
        danger
        reason="none"
        done="The endpoint is deleted"
        onConfirm={remove}
      >
        {`Nothing is sent to ${endpoint.url} any more, and its secrets are removed for good. This cannot be undone.`}
      </ConfirmAction>
      <SecretShown shown={shown} onClose={() => setShown(null)} />
    </div>
  );
}
