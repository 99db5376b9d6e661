/** One alert rule in full, what it would have done in the chosen stretch of time, and its switches. */
import { Button, Group } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useMemo } from 'react';
import { api } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { May } from '../../ui/May.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import style from './Alerts.module.css';
import { bodyOfRule, draftOfRule, type Rule, searchOf, written } from './draft.ts';
import { conditionOf, KEYS, ORIGINS } from './model.ts';
import { RuleState } from './Rules.tsx';
import { Trial } from './Trial.tsx';

export function RuleDetail({ id }: { id: string }) {
  const asked = useGet('/alert-rules/{rule_id}', undefined, { path: { rule_id: id }, fresh: true });
  const firing = useGet('/alerts', { state: 'firing', limit: 200 }, { fresh: true });
  const rule = asked.data;
  const body = useMemo(() => (rule ? bodyOfRule(rule) : null), [rule]);
  const fires = (firing.data?.items ?? []).filter((one) => one.rule_id === id);
  return (
    <Panel title={rule?.name ?? id} of={asked} actions={rule && <RuleState rule={rule} fires={fires.length} />}>
      {rule && (
        <div className={style.sections}>
          <Buttons rule={rule} />
          {fires.length > 0 && (
            <Section title="Fires now">
              <ul className={style.plain}>
                {fires.map((one) => (
                  <li key={one.id}>
                    <StatusBadge state={one.severity} />{' '}
                    <Link
                      to="/settings/notifications"
                      search={((kept: object) => ({ ...kept, open: one.id })) as never}
                    >
                      {one.summary}
                    </Link>
                  </li>
                ))}
              </ul>
            </Section>
          )}
          <Section title="When">
            <KeyValue
              of={[
                ['No data', rule.no_data],
                [
                  'Fires when',
                  <span key="when" className="mono">
                    {conditionOf(rule)}
                  </span>,
                ],
                ['Taken over', written(rule.window_seconds ?? 60)],
                ['For at least', written(rule.hold_seconds ?? 60)],
                ['Over when back past', rule.clear ?? 'the threshold'],
                ['For', written(rule.clear_hold_seconds ?? 60)],
                ['Critical from', rule.critical],
                ['Severity', rule.severity],
                [
                  'Only',
                  Object.entries(rule.labels ?? {})
                    .map(([name, value]) => `${name}: ${value}`)
                    .join(', '),
                ],
                ['One alert for each', (rule.by ?? []).join(', ')],
                ['Told again after', rule.remind_seconds ? written(rule.remind_seconds) : 'never'],
                ['Says', rule.message],
                ['Tenant', rule.tenant ?? 'all tenants'],
                ['From', ORIGINS[rule.origin]],
              ]}
            />
          </Section>
          <Section title="In this stretch of time">{body && <Trial rule={body} />}</Section>
        </div>
      )}
    </Panel>
  );
}

function Buttons({ rule }: { rule: Rule }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const params = { path: { rule_id: rule.id } };
  const again = () => {
    for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
  };
  async function toggle(reason: string): Promise<void> {
    const body = { ...bodyOfRule(rule), enabled: !rule.enabled };
    await sent(
      api.PUT('/api/admin/enterprise/alert-rules/{rule_id}', { params: { ...params, query: { reason } }, body }),
    );
    again();
  }
  async function remove(reason: string): Promise<void> {
    const asked = { ...params, query: { reason } };
    await sent(api.DELETE('/api/admin/enterprise/alert-rules/{rule_id}', { params: asked }));
    // First away from it: what is on screen is asked for again, and this is not there any more.
    const search = ((kept: object) => ({ ...kept, open: undefined })) as never;
    await navigate({ to: '/settings/alert-rules', search });
    again();
  }
  return (
    <Group gap="xs">
      <May operation="alerts_replace_rule">
        <Button
          size="xs"
          variant="default"
          renderRoot={(props) => (
            <Link
              to="/settings/alert-rules"
              search={
                ((kept: object) => ({
                  ...kept,
                  ...searchOf(draftOfRule(rule)),
                  edit: rule.id,
                  open: undefined,
                })) as never
              }
              {...props}
            />
          )}
        >
          Edit
        </Button>
      </May>
      <ConfirmAction
        operation="alerts_replace_rule"
        label={rule.enabled ? 'Switch off' : 'Switch on'}
        reason="optional"
        danger={rule.enabled ?? true}
        done={rule.enabled ? `${rule.name} is off` : `${rule.name} is on`}
        onConfirm={toggle}
      >
        {rule.enabled
          ? 'Nobody is told any more, and what fires of it ends with the next look.'
          : 'It is looked at again within ten seconds.'}
      </ConfirmAction>
      {rule.origin === 'stored' && (
        <ConfirmAction
          operation="alerts_delete_rule"
          label="Delete"
          reason="optional"
          danger
          done={`${rule.name} is deleted`}
          onConfirm={remove}
        >
          What fires of it ends with the next look. A rule of the same id that comes with Custodes, or is in the code,
          holds again.
        </ConfirmAction>
      )}
    </Group>
  );
}
