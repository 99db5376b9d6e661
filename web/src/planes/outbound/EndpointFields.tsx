/** The fields of an endpoint; loaded when they are asked for. The server's words when it refuses. */
import { Alert, Select, Switch, Textarea, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { api } from '../../api/client.ts';
import { sent } from '../../api/hooks.ts';
import { AskForm } from '../../ui/AskForm.tsx';
import { bodyOf, CREDENTIALS, changeOf, type Draft, draftOf, faultsOf } from './draft.ts';
import type { FieldsProps } from './EndpointDialog.tsx';
import { HeaderFields } from './HeaderFields.tsx';
import { type Endpoint, useAskAgain } from './model.ts';
import style from './Outbound.module.css';
import type { Shown } from './SecretShown.tsx';

const AUTHS = [
  { value: 'none', label: 'None: the signature is enough' },
  { value: 'basic', label: 'Basic' },
  { value: 'bearer', label: 'Bearer token' },
  { value: 'oauth2', label: 'OAuth 2 client credentials' },
  { value: 'mtls', label: 'Client certificate (mTLS)' },
];

const SIGNATURES = [
  { value: 'v1', label: 'v1: shared secret (HMAC)' },
  { value: 'v1a', label: 'v1a: public key (Ed25519)' },
  { value: 'both', label: 'Both' },
];

/** Names of credentials for people. */
const NAMES: Record<string, string> = {
  username: 'User name',
  password: 'Password',
  token: 'Token',
  token_url: 'Address of tokens',
  client_id: 'Client id',
  client_secret: 'Client secret',
  scope: 'Scope',
  audience: 'Audience',
  certificate: 'Certificate (PEM)',
  private_key: 'Private key (PEM)',
};

const SECRET = new Set(['password', 'token', 'client_secret', 'private_key']);

export function EndpointFields({ endpoint, onClose, onMade }: FieldsProps<Endpoint>) {
  const again = useAskAgain();
  const [before] = useState(() => draftOf(endpoint));
  const [draft, setDraft] = useState(before);
  const [tenant, setTenant] = useState('');
  const faults = faultsOf(draft);
  // Where it leads and what it gets follow from its source; the server refuses to change that here.
  const bound = endpoint !== undefined && endpoint.source !== '';

  function put<K extends keyof Draft>(name: K, value: Draft[K]): void {
    setDraft((before) => ({ ...before, [name]: value }));
  }
  async function submit(): Promise<void> {
    if (endpoint) {
      const path = { id: endpoint.id };
      const body = changeOf(before, draft);
      await sent(api.PATCH('/api/admin/enterprise/webhook-configurations/{id}', { params: { path }, body }));
      notifications.show({ message: 'The endpoint is changed' });
    } else {
      const body = bodyOf(draft);
      const query = tenant.trim() ? { tenant: tenant.trim() } : {};
      const made = api.POST('/api/admin/enterprise/webhook-configurations', { params: { query }, body });
      onMade(await sent<Shown>(made));
    }
    again();
  }
  return (
    <AskForm
      label={endpoint ? 'Save' : 'Add'}
      submit={submit}
      onClose={onClose}
      disabled={Object.keys(faults).length > 0}
    >
      {bound && (
        <Alert color="blue" title={`The source ${endpoint.source} is forwarded to it`}>
          URL, event types, filters and order follow from that; they are changed where the source is set up.
        </Alert>
      )}
      <TextInput
        label="URL"
        disabled={bound}
        value={draft.url}
        placeholder="https://example.com/hooks"
        required
        maxLength={2000}
        data-autofocus
        onChange={(event) => put('url', event.currentTarget.value)}
      />
      <TextInput
        label="Event types"
        disabled={bound}
        description="order.shipped, order.* for all below, * for all of yours"
        value={draft.types}
        required
        onChange={(event) => put('types', event.currentTarget.value)}
      />
      <TextInput
        label="Description"
        value={draft.description}
        maxLength={500}
        onChange={(event) => put('description', event.currentTarget.value)}
      />
      {!endpoint && (
        <TextInput
          label="Tenant"
          description="Whose events it gets; empty: the default tenant"
          value={tenant}
          maxLength={64}
          onChange={(event) => setTenant(event.currentTarget.value)}
        />
      )}
      <Textarea
        label="Payload filter"
        disabled={bound}
        description="Only payloads that match; empty: all"
        placeholder={'{"data.total": {"$gte": 100}}'}
        value={draft.match}
        error={faults.match}
        autosize
        minRows={2}
        onChange={(event) => put('match', event.currentTarget.value)}
      />
      <div className={style.pairs}>
        <TextInput
          label="Channels"
          description="Only these; empty: all"
          disabled={bound}
          value={draft.channels}
          onChange={(event) => put('channels', event.currentTarget.value)}
        />
        <TextInput
          label="Payload version"
          description="Empty: the newest"
          disabled={bound}
          value={draft.version}
          maxLength={64}
          onChange={(event) => put('version', event.currentTarget.value)}
        />
        <Select
          label="Signature"
          description="Standard Webhooks"
          data={SIGNATURES}
          value={draft.signature}
          allowDeselect={false}
          onChange={(to) => put('signature', to ?? 'v1')}
        />
        <TextInput
          type="number"
          label="Deliveries a second"
          description="0: as many as come"
          value={draft.rate}
          step="any"
          min={0}
          max={10_000}
          onChange={(event) => put('rate', Number(event.currentTarget.value))}
        />
        <TextInput
          type="number"
          label="At the same time"
          description="From each process"
          value={draft.concurrency}
          min={1}
          max={100}
          onChange={(event) => put('concurrency', Number(event.currentTarget.value))}
        />
        <TextInput
          type="number"
          label="Longest attempt"
          description="Seconds, 1 to 60"
          value={draft.timeout}
          step="any"
          min={1}
          max={60}
          onChange={(event) => put('timeout', Number(event.currentTarget.value))}
        />
        <TextInput
          type="number"
          label="Disabled after failing for"
          description="Hours; 0: never"
          value={draft.disableAfter}
          step="any"
          min={0}
          max={2_160}
          onChange={(event) => put('disableAfter', Number(event.currentTarget.value))}
        />
      </div>
      <TextInput
        label="Waits between attempts"
        description="Seconds, each ±20 %; one attempt more than there are waits"
        value={draft.schedule}
        error={faults.schedule}
        onChange={(event) => put('schedule', event.currentTarget.value)}
      />
      <HeaderFields of={draft.headers} onChange={(to) => put('headers', to)} />
      <Select
        label="Authentication"
        data={AUTHS}
        value={draft.auth}
        allowDeselect={false}
        onChange={(to) => put('auth', to ?? 'none')}
      />
      {(CREDENTIALS[draft.auth] ?? []).map((name) => (
        <TextInput
          key={name}
          label={NAMES[name]}
          description={endpoint ? 'Sealed, never shown; all are given anew, or none' : 'Sealed, never shown'}
          type={SECRET.has(name) ? 'password' : 'text'}
          autoComplete="off"
          value={draft.credentials[name] ?? ''}
          onChange={(event) => put('credentials', { ...draft.credentials, [name]: event.currentTarget.value })}
        />
      ))}
      <Switch
        label="Keep the order of deliveries with the same order key"
        checked={draft.ordered}
        disabled={bound}
        onChange={(event) => put('ordered', event.currentTarget.checked)}
      />
    </AskForm>
  );
}
