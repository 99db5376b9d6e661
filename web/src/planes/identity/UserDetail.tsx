/** One user: what is known, and what an owner can do about them. */
import { Group, Select } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { whoIAm } from '../../api/may.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { May } from '../../ui/May.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { type Once, ShownOnce } from '../../ui/ShownOnce.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment } from '../../view/view.ts';
import style from './Identity.module.css';
import { askAgain, grantable, type Profile, type Role } from './model.ts';

export function UserDetail({ id }: { id: string }) {
  const moment = useMoment();
  const asked = useGet('/user-profiles/{profile_id}', undefined, { path: { profile_id: id }, fresh: true });
  const user = asked.data;
  return (
    <Panel title={user?.subject ?? 'User'} of={asked} actions={user && <StatusBadge state={user.state} />}>
      {user && (
        <div className={style.sections}>
          <Buttons user={user} />
          <Section title="Who">
            <KeyValue
              of={[
                ['Role', user.role],
                ['Name', user.display_name],
                ['E-mail', user.email],
                ['Signs in at', user.issuer],
                ['Tenant', user.tenant ?? 'all tenants'],
                ['Added', moment(user.created_at)],
                ['Last seen', user.last_seen_at ? moment(user.last_seen_at) : 'never'],
                [
                  'Trail',
                  <Link key="trail" to="/audit/actors/$actor" params={{ actor: `user:${user.subject}` } as never}>
                    What they did
                  </Link>,
                ],
                [
                  'Changes',
                  <Link
                    key="changes"
                    to="/audit"
                    search={{ tab: 'entries', target: `user_profile:${user.id}` } as never}
                  >
                    What was done to them
                  </Link>,
                ],
              ]}
            />
          </Section>
        </div>
      )}
    </Panel>
  );
}

function Buttons({ user }: { user: Profile }) {
  const queries = useQueryClient();
  const [once, setOnce] = useState<Once | null>(null);
  const params = (reason: string) => ({ path: { profile_id: user.id }, query: { reason } });
  const active = user.state === 'active';

  async function toggle(reason: string): Promise<void> {
    await sent(
      active
        ? api.POST('/api/admin/enterprise/user-profiles/{profile_id}/disable', { params: params(reason) })
        : api.POST('/api/admin/enterprise/user-profiles/{profile_id}/enable', { params: params(reason) }),
    );
    askAgain(queries);
  }
  async function reset(reason: string): Promise<void> {
    const path = '/api/admin/enterprise/user-profiles/{profile_id}/reset-password';
    const made = await sent<Schemas['OneTimePassword']>(api.POST(path, { params: params(reason) }));
    askAgain(queries);
    setOnce({
      title: 'One-time password',
      text: `Hand it over to ${user.subject}: it is changed at the next login.`,
      secret: made.one_time_password,
    });
  }
  return (
    <Group gap="xs">
      <May operation="identity_set_role">
        <ChangeRole key={user.role} user={user} />
      </May>
      <ConfirmAction
        operation={active ? 'identity_disable_profile' : 'identity_enable_profile'}
        label={active ? 'Disable' : 'Enable'}
        reason="optional"
        danger={active}
        done={`${user.subject} is ${active ? 'disabled' : 'active'}`}
        onConfirm={toggle}
      >
        {active
          ? 'They are kept out from their next request on, by whatever way they sign in; their sessions end, and their API keys stop working.'
          : 'They may sign in again. Their API keys that were not revoked work again, too.'}
      </ConfirmAction>
      {user.issuer === 'local' && (
        <ConfirmAction
          operation="identity_reset_password"
          label="Reset the password"
          reason="optional"
          danger
          done={`The password of ${user.subject} is reset`}
          onConfirm={reset}
        >
          Their password and their sessions end. You are shown a one-time password to hand over.
        </ConfirmAction>
      )}
      <ShownOnce once={once} onClose={() => setOnce(null)} />
    </Group>
  );
}

function ChangeRole({ user }: { user: Profile }) {
  const queries = useQueryClient();
  const { data: me } = useQuery(whoIAm);
  const [role, setRole] = useState<Role>(user.role);
  async function change(reason: string): Promise<void> {
    const path = '/api/admin/enterprise/user-profiles/{profile_id}/role';
    const params = { path: { profile_id: user.id }, query: { reason } };
    await sent(api.PUT(path, { params, body: { role } }));
    askAgain(queries);
  }
  return (
    <ConfirmAction
      operation="identity_set_role"
      label="Change the role"
      reason="optional"
      done={`${user.subject} is ${role}`}
      onConfirm={change}
    >
      <Select
        label="Role"
        description="From their next request on; their API keys never do more"
        data={grantable(me?.role)}
        value={role}
        allowDeselect={false}
        onChange={(to) => setRole((to ?? user.role) as Role)}
      />
    </ConfirmAction>
  );
}
