/** One webhook in full: what came, whether it is genuine, what was done with it, and how to do it again. */
import { Alert, Group, Skeleton, Stack } from '@mantine/core';
import { sentence } from '../../api/client.ts';
import { useGet } from '../../api/hooks.ts';
import { useFresh } from '../../live/useFresh.ts';
import { ago, ahead, bytes, duration, millis } from '../../time/format.ts';
import { asSaid } from '../../ui/asSaid.ts';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Copy } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { TraceTimeline } from '../../ui/TraceTimeline.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { Attempts } from './Attempts.tsx';
import { Curl } from './Curl.tsx';
import { EventStatus } from './EventStatus.tsx';
import { Headers } from './Headers.tsx';
import { concerns, type Event } from './model.ts';
import { Payload } from './Payload.tsx';
import { Replay } from './Replay.tsx';
import { TraceLink } from './TraceLink.tsx';

const KEYS = [['/webhook-events/{id}'], ['/webhook-events/{id}/attempts']];

export function EventDetail({ id }: { id: string }) {
  const asked = useGet('/webhook-events/{id}', undefined, { path: { id }, fresh: true });
  useFresh(KEYS, concerns);
  if (asked.isError && !asked.data) return <Alert color="red">{sentence(asked.error)}</Alert>;
  const event = asked.data;
  if (!event) return <Skeleton height={320} radius="sm" />;
  return (
    <Stack gap="lg">
      <Facts event={event} />
      <Section title="Attempts">
        <Attempts event={event} />
      </Section>
      <TraceTimeline traceId={event.trace_id} here={event.id} />
      <Section title="Payload">
        <Payload id={event.id} size={event.body_bytes} />
      </Section>
      <Section title="Headers">
        <Headers id={event.id} />
      </Section>
      <Section title="Send it elsewhere">
        <Curl key={event.id} event={event} />
      </Section>
    </Stack>
  );
}

function Facts({ event }: { event: Event }) {
  const moment = useMoment();
  const { now } = useView();
  return (
    <Stack gap="sm">
      <Group gap="sm" justify="space-between">
        <Group gap="xs">
          <EventStatus event={event} />
          <strong>{event.event_type || 'no type'}</strong>
          <span className="faint">from {event.source}</span>
        </Group>
        <Replay event={event} />
      </Group>
      {event.error && (
        <Alert color={event.status === 'dead' ? 'red' : 'yellow'} title="Last error">
          {asSaid(event.error)}
        </Alert>
      )}
      <KeyValue
        of={[
          [
            'Signature',
            event.verdict === 'verified' ? (
              <StatusBadge key="v" state="ok" label="verified over the exact bytes" />
            ) : event.verdict === 'reconciled' ? (
              <StatusBadge key="v" state="ok" label="it never arrived: fetched from the sender" />
            ) : (
              <StatusBadge key="v" state="unverified" label="not checked here: logged by the app itself" />
            ),
          ],
          ['Received', `${moment(event.received_at, 'milli')} (${ago(millis(event.received_at), now)})`],
          ['Finished', event.finished_at && moment(event.finished_at, 'milli')],
          ['Next try', event.next_retry_at && `${moment(event.next_retry_at)} (${ahead(event.next_retry_at, now)})`],
          ['Processing', event.processing_us === null ? null : duration(event.processing_us / 1_000)],
          ['Size', bytes(event.body_bytes)],
          ['Address', event.client_ip],
          ['Tenant', event.tenant],
          ['Id', <Id key="i" id={event.id} />],
          ['Id of the sender', event.event_id && <Id key="s" id={event.event_id} />],
          ['Trace', event.trace_id && <TraceLink key="t" id={event.trace_id} />],
        ]}
      />
    </Stack>
  );
}

function Id({ id }: { id: string }) {
  return (
    <Group gap={8}>
      <span className="mono cut" title={id}>
        {id}
      </span>
      <Copy text={id} />
    </Group>
  );
}
