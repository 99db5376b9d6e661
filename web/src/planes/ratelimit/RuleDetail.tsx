/** One rule in full: what it promises, and its switches. */
import { Button, Group } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { api, type Schemas } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { count } from '../../time/format.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useMoment } from '../../view/view.ts';
import { draftOfRule, searchOf } from './draft.ts';
import { back, KEYS, most, type Rule } from './model.ts';
import style from './RateLimits.module.css';
import { idOf, RuleState } from './Rules.tsx';
import { RuleUsage } from './RuleUsage.tsx';

export function RuleDetail({ id }: { id: string }) {
  const asked = useGet('/rate-limits/rules', undefined, { fresh: true });
  const rule = asked.data?.find((one) => idOf(one) === id) ?? asked.data?.find((one) => one.name === id);
  return (
    <Panel
      title={rule?.name ?? id}
      of={asked}
      empty={asked.data !== undefined && rule === undefined}
      whenEmpty={<Message title="There is no such rule" text="It may have been deleted." />}
      actions={rule && <RuleState rule={rule} />}
    >
      {rule && <Known rule={rule} />}
    </Panel>
  );
}

function Known({ rule }: { rule: Rule }) {
  const moment = useMoment();
  const cost =
    rule.cost === null ? 'as the code says' : `${count(rule.cost)} ${rule.cost === 1 ? 'unit' : 'units'} a request`;
  return (
    <div className={style.sections}>
      {rule.overruled && (
        <Message
          title="A rule in the code has this name"
          text="That one holds, and this one holds for nothing. Delete it, or name the one in the code anew."
        />
      )}
      <Buttons rule={rule} />
      {!rule.overruled && <RuleUsage rule={rule} />}
      <Section title="What it holds for">
        <KeyValue
          of={[
            ['Counts', rule.by],
            [
              'Where',
              <span key="where" className="mono">
                {rule.route === '*' ? 'every path' : rule.route}
              </span>,
            ],
            ['Methods', rule.methods.join(', ') || 'all'],
            ['Not', rule.exempt.join(', ')],
            ['Cost', cost],
            ['Tenant', rule.tenant ?? 'all tenants'],
            ['Lease', rule.lease > 1 ? `${rule.lease} units, up to ${rule.over_admission} above a limit` : null],
            ['When the engine fails', rule.on_failure ?? 'as the install has chosen'],
          ]}
        />
      </Section>
      {rule.limits.map((limit) => (
        <Section key={limit.text} title={limit.text}>
          <Promised limit={limit} />
        </Section>
      ))}
      <Section title="Where it comes from">
        <KeyValue
          of={[
            ['From', rule.source === 'code' ? 'code: read-only here' : 'the dashboard or the API'],
            ['Version', rule.source === 'code' ? null : count(rule.version)],
            ['Changed', rule.updated_at ? moment(rule.updated_at) : null],
            ['By', rule.actor],
          ]}
        />
      </Section>
    </div>
  );
}

export function Promised({ limit }: { limit: Schemas['LimitModel'] }) {
  return (
    <KeyValue
      of={[
        ['Algorithm', limit.algorithm],
        ['Exact', most(limit)],
        ['What was used is free', back(limit)],
      ]}
    />
  );
}

function Buttons({ rule }: { rule: Rule }) {
  const queries = useQueryClient();
  const draft = searchOf(draftOfRule(rule));
  const again = () => {
    for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
  };
  const id = rule.id ?? '';
  async function change(switched: Schemas['RuleChange'], reason: string): Promise<void> {
    const body = { ...switched, version: rule.version };
    const params = { path: { rule_id: id }, query: { reason } };
    await sent(api.PATCH('/api/admin/enterprise/rate-limits/rules/{rule_id}', { params, body }));
    again();
  }
  async function remove(reason: string): Promise<void> {
    const params = { path: { rule_id: id }, query: { reason } };
    await sent(api.DELETE('/api/admin/enterprise/rate-limits/rules/{rule_id}', { params }));
    again();
  }
  return (
    <Group gap="xs">
      <Button
        size="xs"
        variant="default"
        renderRoot={(props) => (
          <Link
            to="/rate-limits"
            search={
              ((kept: object) => ({
                ...kept,
                ...draft,
                view: 'editor',
                open: undefined,
                edit: rule.id ?? undefined,
                version: rule.id ? String(rule.version) : undefined,
              })) as never
            }
            {...props}
          />
        )}
      >
        {rule.id ? 'Edit and try' : 'Try a change'}
      </Button>
      {rule.id && !rule.overruled && (
        <>
          <ConfirmAction
            operation="ratelimit_change_rule"
            label={rule.shadow ? 'Enforce' : 'Put in shadow'}
            reason="optional"
            danger={rule.shadow}
            done={rule.shadow ? `${rule.name} is enforced` : `${rule.name} is in shadow`}
            onConfirm={(reason) => change({ shadow: !rule.shadow }, reason)}
          >
            {rule.shadow
              ? 'From now on it refuses what it has only counted so far.'
              : 'It refuses nobody any more, and tells whom it would refuse.'}
          </ConfirmAction>
          <ConfirmAction
            operation="ratelimit_change_rule"
            label={rule.enabled ? 'Switch off' : 'Switch on'}
            reason="optional"
            done={rule.enabled ? `${rule.name} is off` : `${rule.name} is on`}
            onConfirm={(reason) => change({ enabled: !rule.enabled }, reason)}
          >
            {rule.enabled
              ? 'It neither counts nor refuses until it is switched on again.'
              : 'It counts from the next request on.'}
          </ConfirmAction>
        </>
      )}
      {rule.id && (
        <ConfirmAction
          operation="ratelimit_delete_rule"
          label="Delete"
          danger
          done={`${rule.name} is deleted`}
          onConfirm={remove}
        >
          What it has counted is forgotten; the figures of the past stay.
        </ConfirmAction>
      )}
      {!rule.id && <span className="faint">Written in code and changed there.</span>}
    </Group>
  );
}
