/** Who may administer, and how far. */
import { Button, Modal, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { api, type Schemas } from '../../api/client.ts';
import { exported } from '../../api/exported.ts';
import { sent, useRows } from '../../api/hooks.ts';
import { whoIAm } from '../../api/may.ts';
import { useFresh } from '../../live/useFresh.ts';
import { SettingsParts } from '../../shell/SettingsParts.tsx';
import { ago } from '../../time/format.ts';
import { AskForm } from '../../ui/AskForm.tsx';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { IconPlus, IconUser } from '../../ui/icons.ts';
import { May } from '../../ui/May.tsx';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { type Once, ShownOnce } from '../../ui/ShownOnce.tsx';
import { Hint } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import { askAgain, concerns, grantable, KEYS, LEAST, type Profile, type Role } from './model.ts';
import type { UsersSearch } from './routes.ts';
import { UserDetail } from './UserDetail.tsx';

const ROLES = [
  { value: '', label: 'All roles' },
  { value: 'owner', label: 'Owners' },
  { value: 'admin', label: 'Admins' },
  { value: 'member', label: 'Members' },
];

const STATES = [
  { value: '', label: 'Active and disabled' },
  { value: 'active', label: 'Active' },
  { value: 'disabled', label: 'Disabled' },
];

export function Users() {
  const { role, state, open }: UsersSearch = useSearch({ strict: false });
  const set = useSetSearch();
  const { now } = useView();
  const moment = useMoment();
  useFresh(KEYS, concerns);
  const { rows, hasMore, loadMore, asked } = useRows('/user-profiles', { role, state }, { timed: false });
  const columns = useMemo<Column<Profile>[]>(
    () => [
      {
        id: 'subject',
        header: 'User',
        cell: (row) => <span title={row.subject}>{row.subject}</span>,
        value: (row) => row.subject,
      },
      {
        id: 'display_name',
        header: 'Name',
        cell: (row) => row.display_name,
        value: (row) => row.display_name,
        width: 160,
      },
      {
        id: 'email',
        header: 'E-mail',
        cell: (row) => <span title={row.email}>{row.email}</span>,
        value: (row) => row.email,
        width: 180,
      },
      { id: 'role', header: 'Role', cell: (row) => row.role, value: (row) => row.role, width: 80 },
      {
        id: 'state',
        header: 'State',
        cell: (row) => <StatusBadge state={row.state} />,
        value: (row) => row.state,
        width: 104,
      },
      {
        id: 'issuer',
        header: 'Signs in at',
        cell: (row) => <span title={row.issuer}>{row.issuer}</span>,
        value: (row) => row.issuer,
        width: 120,
      },
      {
        id: 'tenant',
        header: 'Tenant',
        cell: (row) => row.tenant ?? 'all',
        value: (row) => row.tenant ?? '',
        width: 90,
      },
      {
        id: 'last_seen_at',
        header: 'Last seen',
        cell: (row) =>
          row.last_seen_at ? (
            <time dateTime={row.last_seen_at} title={moment(row.last_seen_at, 'iso')}>
              {ago(row.last_seen_at, now)}
            </time>
          ) : (
            'never'
          ),
        value: (row) => row.last_seen_at ?? '',
        width: 104,
      },
    ],
    [moment, now],
  );
  return (
    <Page
      title="Settings"
      part="Users"
      by={['role', 'state']}
      actions={
        <May operation="identity_create_profile">
          <AddUser />
        </May>
      }
    >
      <SettingsParts current="users" />
      <Panel
        title="Users"
        note="what somebody may do holds from their next request on"
        of={asked}
        flush
        empty={rows.length === 0 && !role && !state}
        whenEmpty={
          <Hint
            icon={<IconUser size={28} />}
            title="Nobody may administer yet"
            text="Add somebody above, or from a terminal:"
            snippet="custodes user add ada --role owner"
          />
        }
      >
        <DataTable
          label="Users"
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          name="user-profiles"
          hasMore={hasMore}
          loadMore={loadMore}
          least={980}
          everything={exported('user-profiles', { role, state })}
          link={(row, children) => <OpenRow id={row.id}>{children}</OpenRow>}
        >
          <Select
            size="xs"
            aria-label="Role"
            data={ROLES}
            value={role ?? ''}
            allowDeselect={false}
            onChange={(to) => set({ role: to || undefined })}
          />
          <Select
            size="xs"
            aria-label="State"
            data={STATES}
            value={state ?? ''}
            allowDeselect={false}
            onChange={(to) => set({ state: to || undefined })}
          />
        </DataTable>
      </Panel>
      <Opened title={rows.find((row) => row.id === open)?.subject ?? 'User'} below="/settings/users">
        {(id) => <UserDetail id={id} />}
      </Opened>
    </Page>
  );
}

function AddUser() {
  const [opened, setOpened] = useState(false);
  const [once, setOnce] = useState<Once | null>(null);
  return (
    <>
      <Button size="xs" leftSection={<IconPlus size={15} aria-hidden="true" />} onClick={() => setOpened(true)}>
        Add a user
      </Button>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title="Add a user"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <NewUser onClose={() => setOpened(false)} onMade={setOnce} />
      </Modal>
      <ShownOnce once={once} onClose={() => setOnce(null)} />
    </>
  );
}

function NewUser({ onClose, onMade }: { onClose: () => void; onMade: (once: Once) => void }) {
  const queries = useQueryClient();
  const { data: me } = useQuery(whoIAm);
  const [subject, setSubject] = useState('');
  const [role, setRole] = useState<Role>(LEAST);
  const [issuer, setIssuer] = useState('local');
  const [name, setName] = useState('');
  const [email, setEmail] = useState('');
  const [tenant, setTenant] = useState('');

  async function submit(): Promise<void> {
    const body = {
      subject: subject.trim(),
      role,
      issuer: issuer.trim() || 'local',
      display_name: name.trim(),
      email: email.trim(),
      tenant: tenant.trim() || null,
    };
    const made = await sent<Schemas['NewProfileModel']>(api.POST('/api/admin/enterprise/user-profiles', { body }));
    askAgain(queries);
    if (made.one_time_password)
      onMade({
        title: 'One-time password',
        text: `Hand it over to ${made.subject}: it is changed at the first login.`,
        secret: made.one_time_password,
      });
  }
  return (
    <AskForm label="Add" submit={submit} onClose={onClose} disabled={!subject.trim()}>
      <TextInput
        label="User"
        description="User name of a local account, or the subject (sub) at the issuer"
        value={subject}
        required
        maxLength={255}
        autoComplete="off"
        data-autofocus
        onChange={(event) => setSubject(event.currentTarget.value)}
      />
      <Select
        label="Role"
        data={grantable(me?.role)}
        value={role}
        allowDeselect={false}
        onChange={(to) => setRole((to ?? LEAST) as Role)}
      />
      <TextInput
        label="Signs in at"
        description="local, host, or the URL of the issuer (iss)"
        value={issuer}
        maxLength={255}
        onChange={(event) => setIssuer(event.currentTarget.value)}
      />
      <TextInput label="Name" value={name} maxLength={200} onChange={(event) => setName(event.currentTarget.value)} />
      <TextInput
        label="E-mail"
        description="For people to read; nothing is sent"
        value={email}
        maxLength={254}
        onChange={(event) => setEmail(event.currentTarget.value)}
      />
      {me?.tenant === null && (
        <TextInput
          label="Tenant"
          description="The only one they see; empty: all"
          value={tenant}
          maxLength={64}
          onChange={(event) => setTenant(event.currentTarget.value)}
        />
      )}
    </AskForm>
  );
}
