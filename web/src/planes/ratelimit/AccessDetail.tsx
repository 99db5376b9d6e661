/** One block or list entry in full, and how it is lifted. */
import { useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { api } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { around, count } from '../../time/format.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { filled } from '../../ui/chart/steps.ts';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Sparkline } from '../../ui/Sparkline.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { AccessState } from './AccessTable.tsx';
import { LatestRefusals } from './LatestRefusals.tsx';
import { type Access, CALLS_BY, KEYS, KIND_NAMES } from './model.ts';
import style from './RateLimits.module.css';

export function AccessDetail({ id }: { id: string }) {
  const asked = useGet('/rate-limits/blocks/{block_id}', undefined, { path: { block_id: id }, fresh: true });
  const queries = useQueryClient();
  const moment = useMoment();
  const { now } = useView();
  const entry = asked.data;
  const stands = entry !== undefined && !entry.lifted_by && (!entry.ends_at || Date.parse(entry.ends_at) > now);
  const block = entry?.effect === 'block';
  // Calls are found by single addresses, not by networks.
  const param = entry && !entry.identifier.includes('/') ? CALLS_BY[entry.kind] : undefined;

  async function lift(reason: string): Promise<void> {
    const query = { reason };
    if (block) {
      const params = { path: { block_id: id }, query };
      await sent(api.DELETE('/api/admin/enterprise/rate-limits/blocks/{block_id}', { params }));
    } else {
      const params = { path: { entry_id: id }, query };
      await sent(api.DELETE('/api/admin/enterprise/rate-limits/lists/{entry_id}', { params }));
    }
    for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
  }
  return (
    <Panel
      title={entry ? `${KIND_NAMES[entry.kind] ?? entry.kind} ${entry.identifier}` : 'Block'}
      of={asked}
      actions={
        entry &&
        stands && (
          <ConfirmAction
            operation={block ? 'ratelimit_lift_block' : 'ratelimit_delete_access_entry'}
            label={block ? 'Unblock' : 'Take off the list'}
            reason="optional"
            done={block ? `${entry.identifier} is unblocked` : `${entry.identifier} is off the list`}
            onConfirm={lift}
          >
            {block
              ? `Requests of ${entry.identifier} are let through again, within the limits.`
              : `${entry.identifier} is treated like everybody else again.`}
          </ConfirmAction>
        )
      }
    >
      {entry && (
        <div className={style.sections}>
          <Section title="What holds">
            <KeyValue
              of={[
                ['State', <AccessState key="state" entry={entry} />],
                [
                  'Who',
                  <span key="who" className="mono">
                    {entry.identifier}
                  </span>,
                ],
                ['Kind', KIND_NAMES[entry.kind] ?? entry.kind],
                ['Tenant', entry.tenant ?? 'all tenants'],
                [
                  'Offence',
                  entry.level > 0 ? `number ${count(entry.level)}; a ban lasts longer with each` : 'none: put by hand',
                ],
                ['Reason', entry.reason],
                ['By', entry.actor],
                ['Since', moment(entry.created_at)],
                [
                  'Ends',
                  entry.ends_at ? `${moment(entry.ends_at)} (${around(entry.ends_at, now)})` : 'when it is lifted',
                ],
                ['Lifted by', entry.lifted_by],
              ]}
            />
          </Section>
          {entry.effect !== 'allow' && <Refusals entry={entry} />}
          <Section title="Look further">
            {param && (
              <p>
                <Link to="/api" search={{ part: 'calls', [param]: entry.identifier } as never}>
                  API calls of {entry.identifier}
                </Link>
              </p>
            )}
            <p>
              <Link to="/audit" search={{ tab: 'entries', text: entry.identifier } as never}>
                Audit trail about {entry.identifier}
              </Link>
            </p>
          </Section>
        </div>
      )}
    </Panel>
  );
}

/** How often it refused since it holds, and where and when it did so lately. */
function Refusals({ entry }: { entry: Access }) {
  const moment = useMoment();
  const asked = useGet('/rate-limits/blocks/{block_id}/refusals', undefined, {
    path: { block_id: entry.id },
    fresh: true,
  });
  const found = asked.data;
  const course = useMemo(
    () => (found ? filled(found, found.trend)[1].map((point) => point?.refused ?? 0) : []),
    [found],
  );
  if (!found) return null;
  const older = found.since > entry.created_at;
  const rule = entry.effect === 'deny' ? '(deny-list)' : entry.level > 0 ? '(ban)' : '(block)';
  return (
    <Section title="What it has refused">
      <p>
        <b className="figures">{count(found.refused)}</b> {found.refused === 1 ? 'request' : 'requests'} since{' '}
        {moment(older ? found.since : entry.created_at)}
        {older && <span className="faint"> (what was before is not kept)</span>}
      </p>
      {found.refused > 0 && (
        <>
          <Sparkline values={course} tone="bad" />
          <LatestRefusals rule={rule} identifier={entry.identifier} since={found.since} />
        </>
      )}
    </Section>
  );
}
