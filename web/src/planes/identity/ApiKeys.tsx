/** What programs sign in with: each key with what it may do at most, and who made it. */
import { Button, Modal, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { api, type Schemas } from '../../api/client.ts';
import { sent, useGet, useRows } from '../../api/hooks.ts';
import { whoIAm } from '../../api/may.ts';
import { useFresh } from '../../live/useFresh.ts';
import { SettingsParts } from '../../shell/SettingsParts.tsx';
import { ago } from '../../time/format.ts';
import { AskForm } from '../../ui/AskForm.tsx';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconKey, IconPlus } from '../../ui/icons.ts';
import { May } from '../../ui/May.tsx';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { type Once, ShownOnce } from '../../ui/ShownOnce.tsx';
import { Hint } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { type ApiKey, askAgain, concerns, grantable, KEYS, LEAST, type Role, stateOf } from './model.ts';

const DAYS = [
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: 'A year' },
  { value: '', label: 'Until it is revoked' },
];

export function ApiKeys() {
  const { now } = useView();
  const moment = useMoment();
  useFresh(KEYS, concerns);
  const { rows, hasMore, loadMore, asked } = useRows('/api-keys', {}, { timed: false });
  const people = useGet('/user-profiles', { limit: 200 });
  const names = useMemo(() => new Map((people.data?.items ?? []).map((one) => [one.id, one.subject])), [people.data]);
  const columns = useMemo<Column<ApiKey>[]>(() => {
    const when = (at: string | null, none: string) =>
      at ? (
        <time dateTime={at} title={moment(at, 'iso')}>
          {ago(at, now)}
        </time>
      ) : (
        none
      );
    return [
      { id: 'name', header: 'Key', cell: (row) => <span title={row.name}>{row.name}</span>, value: (row) => row.name },
      {
        id: 'prefix',
        header: 'Begins with',
        cell: (row) => <span className="mono">{row.prefix}</span>,
        value: (row) => row.prefix,
        width: 130,
      },
      {
        id: 'state',
        header: 'State',
        cell: (row) => <StatusBadge state={stateOf(row, now).label} tone={stateOf(row, now).tone} />,
        value: (row) => stateOf(row, now).label,
        width: 104,
      },
      { id: 'role', header: 'May at most', cell: (row) => row.role, value: (row) => row.role, width: 100 },
      {
        id: 'tenant',
        header: 'Tenant',
        cell: (row) => row.tenant ?? 'all',
        value: (row) => row.tenant ?? '',
        width: 90,
      },
      {
        id: 'profile_id',
        header: 'Made by',
        cell: (row) => names.get(row.profile_id) ?? '',
        value: (row) => names.get(row.profile_id) ?? row.profile_id,
        width: 120,
      },
      {
        id: 'expires_at',
        header: 'Ends',
        cell: (row) => (row.expires_at ? moment(row.expires_at, 'minute') : 'never'),
        value: (row) => row.expires_at ?? '',
        width: 150,
      },
      {
        id: 'last_used_at',
        header: 'Last used',
        cell: (row) => when(row.last_used_at, 'never'),
        value: (row) => row.last_used_at ?? '',
        width: 104,
      },
      {
        id: 'revoke',
        header: '',
        cell: (row) => (row.revoked_at ? null : <Revoke row={row} />),
        width: 90,
        align: 'right',
      },
    ];
  }, [moment, now, names]);
  return (
    <Page
      title="Settings"
      part="API keys"
      actions={
        <May operation="identity_create_api_key">
          <NewKey />
        </May>
      }
    >
      <SettingsParts current="api-keys" />
      <Panel
        title="API keys"
        note="a key does no more than whoever made it, at that moment"
        of={asked}
        flush
        empty={rows.length === 0}
        whenEmpty={
          <Hint
            icon={<IconKey size={28} />}
            title="No program has a key yet"
            text="Make one above, or from a terminal; the program sends it along:"
            snippet={'custodes user key create ada --name backend --days 90\n\ncurl -H "X-API-Key: ck_…" …'}
          />
        }
      >
        <DataTable
          label="API keys"
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          name="api-keys"
          hasMore={hasMore}
          loadMore={loadMore}
          least={1080}
        />
      </Panel>
    </Page>
  );
}

function Revoke({ row }: { row: ApiKey }) {
  const queries = useQueryClient();
  async function revoke(reason: string): Promise<void> {
    const params = { path: { key_id: row.id }, query: { reason } };
    await sent(api.DELETE('/api/admin/enterprise/api-keys/{key_id}', { params }));
    askAgain(queries);
  }
  return (
    <ConfirmAction
      operation="identity_revoke_api_key"
      label="Revoke"
      reason="optional"
      danger
      done={`${row.name} is revoked`}
      button={{ size: 'compact-xs', 'aria-label': `Revoke ${row.name}` } as never}
      onConfirm={revoke}
    >
      <b>{row.name}</b>, which begins with <span className="mono">{row.prefix}</span>, is refused from its next request
      on. It cannot be brought back.
    </ConfirmAction>
  );
}

function NewKey() {
  const [opened, setOpened] = useState(false);
  const [once, setOnce] = useState<Once | null>(null);
  const { data: me } = useQuery(whoIAm);
  // The server refuses it, too: a key cannot make another.
  if (me?.method === 'api_key') return null;
  return (
    <>
      <Button size="xs" leftSection={<IconPlus size={15} aria-hidden="true" />} onClick={() => setOpened(true)}>
        Make a key
      </Button>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title="Make an API key"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <KeyFields onClose={() => setOpened(false)} onMade={setOnce} />
      </Modal>
      <ShownOnce once={once} onClose={() => setOnce(null)} />
    </>
  );
}

function KeyFields({ onClose, onMade }: { onClose: () => void; onMade: (once: Once) => void }) {
  const queries = useQueryClient();
  const { data: me } = useQuery(whoIAm);
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>(LEAST);
  const [tenant, setTenant] = useState('');
  const [days, setDays] = useState('90');

  async function submit(): Promise<void> {
    const body = { name: name.trim(), role, tenant: tenant.trim() || null, days: days ? Number(days) : null };
    const made = await sent<Schemas['NewApiKeyModel']>(api.POST('/api/admin/enterprise/api-keys', { body }));
    askAgain(queries);
    onMade({
      title: 'API key',
      text: 'A program sends it as X-API-Key with each request. Keep it where secrets are kept.',
      secret: made.key,
    });
  }
  return (
    <AskForm label="Make the key" submit={submit} onClose={onClose} disabled={!name.trim()}>
      <TextInput
        label="Name"
        description="What it is for"
        value={name}
        required
        maxLength={100}
        data-autofocus
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <Select
        label="May at most"
        description="A program that only sends calls, events or metrics needs no more than member"
        data={grantable(me?.role)}
        value={role}
        allowDeselect={false}
        onChange={(to) => setRole((to ?? LEAST) as Role)}
      />
      {me?.tenant === null && (
        <TextInput
          label="Tenant"
          description="The only one it sees; empty: all"
          value={tenant}
          maxLength={64}
          onChange={(event) => setTenant(event.currentTarget.value)}
        />
      )}
      <Select label="How long" data={DAYS} value={days} allowDeselect={false} onChange={(to) => setDays(to ?? '90')} />
    </AskForm>
  );
}
