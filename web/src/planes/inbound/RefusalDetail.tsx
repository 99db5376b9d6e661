/** One refused delivery: why, and what came. */
import { Alert, Skeleton, Stack } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { sentence } from '../../api/client.ts';
import { useGet } from '../../api/hooks.ts';
import { bytes } from '../../time/format.ts';
import { AccessButton } from '../../ui/AccessButton.tsx';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment } from '../../view/view.ts';
import { BytesView } from './BytesView.tsx';
import { Diagnosis } from './Diagnosis.tsx';
import style from './Events.module.css';
import { HeaderList } from './Headers.tsx';
import { reasonAdvice, reasonTitle } from './model.ts';
import { TraceLink } from './TraceLink.tsx';

export function RefusalDetail({ id }: { id: string }) {
  const asked = useGet('/webhook-refusals/{id}', undefined, { path: { id } });
  const moment = useMoment();
  const refusal = asked.data;
  const head = useMemo(
    () => Uint8Array.from(atob(refusal?.body_head ?? ''), (character) => character.charCodeAt(0)),
    [refusal?.body_head],
  );
  if (asked.isError && !refusal) return <Alert color="red">{sentence(asked.error)}</Alert>;
  if (!refusal) return <Skeleton height={320} radius="sm" />;
  const whole = head.length >= refusal.body_bytes;
  return (
    <Stack gap="lg">
      <Alert color="red" title={reasonTitle(refusal.reason)}>
        {reasonAdvice(refusal.reason)}
      </Alert>
      <KeyValue
        of={[
          ['Verdict', <StatusBadge key="v" state="denied" label={`refused: ${refusal.reason}`} />],
          ['Source', refusal.source],
          ['Received', moment(refusal.received_at, 'milli')],
          ['Address', refusal.client_ip && <OfAddress key="a" address={refusal.client_ip} />],
          ['Size', bytes(refusal.body_bytes)],
          ['Tenant', refusal.tenant],
          ['Trace', refusal.trace_id && <TraceLink key="t" id={refusal.trace_id} />],
        ]}
      />
      <Section title="What may be the cause">
        <Diagnosis id={refusal.id} />
      </Section>
      <Section title="Headers">
        <HeaderList headers={refusal.headers} />
      </Section>
      <Section title={whole ? 'Body' : `Body, the first ${bytes(head.length)} of ${bytes(refusal.body_bytes)}`}>
        <BytesView bytes={head} whole={whole} />
      </Section>
    </Stack>
  );
}

/** Where it came from, what else came from there, and how to shut it out. */
function OfAddress({ address }: { address: string }) {
  return (
    <span className={style.address}>
      <span className="mono">{address}</span>
      <Link
        to="/webhooks"
        search={
          ((kept: object) => ({
            ...kept,
            part: 'refused',
            address,
            source: undefined,
            reason: undefined,
            open: undefined,
          })) as never
        }
      >
        All refused from it
      </Link>
      <Link to="/api" search={{ part: 'calls', client_ip: address } as never}>
        Its API calls
      </Link>
      <AccessButton effect="block" kind="ip" identifier={address} compact />
    </span>
  );
}
