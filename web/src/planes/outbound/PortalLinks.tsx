/** Links to the customer portal: one is made and shown once; those that work can be withdrawn. */
import { Alert, Button, Select, Stack, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, sentence } from '../../api/client.ts';
import { sent, useRows } from '../../api/hooks.ts';
import { useMay } from '../../api/may.ts';
import { ago, millis } from '../../time/format.ts';
import { AskForm } from '../../ui/AskForm.tsx';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { Snippet } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useView } from '../../view/view.ts';
import style from './Outbound.module.css';

const KEY = '/webhook-portal-links';

const SCOPES = [
  { value: 'view', label: 'Look only' },
  { value: 'manage', label: 'Manage endpoints' },
];

export function PortalLinks() {
  const may = useMay();
  const { rows, asked, hasMore, loadMore } = useRows(KEY, {}, { timed: false });
  return (
    <Stack gap="md">
      {may('outbound_create_portal_link') && <NewLink />}
      <section aria-label="Links that were made">
        {asked.isError && <Alert color="red">{sentence(asked.error)}</Alert>}
        {asked.data && rows.length === 0 && <p className={style.none}>No link was made yet.</p>}
        <ul className={style.list}>
          {rows.map((row) => (
            <Link key={row.id} row={row} />
          ))}
        </ul>
        {hasMore && (
          <Button size="xs" variant="default" onClick={loadMore}>
            Show more
          </Button>
        )}
      </section>
    </Stack>
  );
}

type Row = ReturnType<typeof useRows<typeof KEY>>['rows'][number];

function Link({ row }: { row: Row }) {
  const { now } = useView();
  const moment = useMoment();
  const queries = useQueryClient();
  const expired = millis(row.expires_at) <= now;
  const [label, tone] = row.revoked_at
    ? (['withdrawn', 'plain'] as const)
    : expired
      ? (['expired', 'plain'] as const)
      : (['works', 'good'] as const);

  async function revoke(): Promise<void> {
    await sent(api.DELETE('/api/admin/enterprise/webhook-portal-links/{id}', { params: { path: { id: row.id } } }));
    await queries.invalidateQueries({ queryKey: [KEY] });
  }
  return (
    <li className={style.portalLink}>
      <p className={style.head}>
        <b>{row.tenant}</b>
        <StatusBadge state={label} tone={tone} />
        <span>{row.scope === 'manage' ? 'manage' : 'look only'}</span>
        {row.channel && <span>channel {row.channel}</span>}
        {label === 'works' && (
          <ConfirmAction
            operation="outbound_revoke_portal_link"
            label="Withdraw"
            reason="none"
            danger
            done="The link is withdrawn"
            onConfirm={revoke}
          >
            The link stops working with the next request, wherever it is open.
          </ConfirmAction>
        )}
      </p>
      <p className="faint">
        {[
          row.note,
          `made by ${row.made_by}`,
          `until ${moment(row.expires_at, 'minute')}`,
          row.last_used_at ? `used ${ago(row.last_used_at, now)}` : 'never opened',
        ]
          .filter(Boolean)
          .join(' · ')}
      </p>
    </li>
  );
}

function NewLink() {
  const queries = useQueryClient();
  const [tenant, setTenant] = useState('');
  const [scope, setScope] = useState<'view' | 'manage'>('view');
  const [hours, setHours] = useState(24);
  const [channel, setChannel] = useState('');
  const [note, setNote] = useState('');
  const [url, setUrl] = useState('');

  async function submit(): Promise<void> {
    const body = { scope, hours, channel: channel.trim(), note, max_endpoints: 10 };
    const params = { query: { tenant: tenant.trim() } };
    const made = await sent<{ url: string }>(api.POST('/api/admin/enterprise/webhook-portal-links', { params, body }));
    setUrl(made.url.startsWith('/') ? `${window.location.origin}${made.url}` : made.url);
    await queries.invalidateQueries({ queryKey: [KEY] });
  }
  if (url)
    return (
      <Alert title="Give this to your customer" color="blue">
        <p>It is not shown again. Whoever has it gets in until it ends.</p>
        <Snippet text={url} label="Link to the portal" />
        <Button size="xs" variant="default" mt="sm" onClick={() => setUrl('')}>
          Make another
        </Button>
      </Alert>
    );
  return (
    <AskForm label="Make a link" submit={submit}>
      <div className={style.pairs}>
        <TextInput
          label="Tenant"
          description="Whose endpoints it shows"
          value={tenant}
          required
          maxLength={64}
          data-autofocus
          onChange={(event) => setTenant(event.currentTarget.value)}
        />
        <Select
          label="What it lets do"
          description="Beside what was sent"
          data={SCOPES}
          value={scope}
          allowDeselect={false}
          onChange={(to) => setScope(to === 'manage' ? 'manage' : 'view')}
        />
        <TextInput
          type="number"
          label="Hours"
          description="How long it works, up to 720"
          value={hours}
          step="any"
          min={0.1}
          max={720}
          onChange={(event) => setHours(Number(event.currentTarget.value))}
        />
        <TextInput
          label="Channel"
          description="Only endpoints of this one; empty: all"
          value={channel}
          maxLength={100}
          onChange={(event) => setChannel(event.currentTarget.value)}
        />
      </div>
      <TextInput
        label="Note"
        description="Who gets it"
        value={note}
        maxLength={500}
        onChange={(event) => setNote(event.currentTarget.value)}
      />
    </AskForm>
  );
}
