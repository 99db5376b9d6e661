/** One kind of error in full: what was raised where, how often, and what has been said of it. */
import { useQueryClient } from '@tanstack/react-query';
import { api } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { count } from '../../time/format.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Snippet } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment } from '../../view/view.ts';
import { Asking } from './Asking.tsx';
import type { ErrorGroup } from './model.ts';
import { ToPart } from './ToPart.tsx';
import { TraceLink } from './TraceLink.tsx';

export function ErrorDetail({ id }: { id: string }) {
  const asked = useGet('/api-errors/{id}', undefined, { path: { id } });
  return <Asking asked={asked}>{asked.data && <Group group={asked.data} />}</Asking>;
}

function Group({ group }: { group: ErrorGroup }) {
  const moment = useMoment();
  return (
    <>
      <Section title={group.title} actions={<SetState group={group} />}>
        <KeyValue
          of={[
            ['State', <StatusBadge key="state" state={group.state} />],
            ['Since', `${moment(group.state_at)}${group.state_by ? ` by ${group.state_by}` : ''}`],
            ['First at', `${group.method} ${group.route ?? '(unmatched)'}`],
            ['First seen', moment(group.first_seen_at, 'milli')],
            ['Last seen', moment(group.last_seen_at, 'milli')],
            ['Occurred', `${count(group.count)} times, as far back as is known`],
            ['Tenant', group.tenant],
            ['Last trace', group.trace_id && <TraceLink key="trace" id={group.trace_id} />],
            [
              'Calls',
              <ToPart key="calls" change={{ part: 'calls', error_group: group.digest }}>
                The calls in which it was raised
              </ToPart>,
            ],
          ]}
        />
      </Section>
      <Section title="Traceback of the first occurrence">
        <Snippet text={group.traceback || 'It was not kept.'} label="Traceback" wide />
      </Section>
    </>
  );
}

function SetState({ group }: { group: ErrorGroup }) {
  const queries = useQueryClient();
  const params = { path: { id: group.id } };
  const resolved = group.state === 'resolved';
  return (
    <ConfirmAction
      operation={resolved ? 'traffic_reopen_api_error' : 'traffic_resolve_api_error'}
      label={resolved ? 'Reopen' : 'Resolve'}
      reason="none"
      done={resolved ? 'It is open again' : 'It is resolved'}
      onConfirm={async () => {
        await sent(
          resolved
            ? api.POST('/api/admin/enterprise/api-errors/{id}/reopen', { params })
            : api.POST('/api/admin/enterprise/api-errors/{id}/resolve', { params }),
        );
        await queries.invalidateQueries({ queryKey: ['/api-errors'] });
        await queries.invalidateQueries({ queryKey: ['/api-errors/{id}'] });
      }}
    >
      {resolved
        ? 'It is listed among the open errors again.'
        : 'Say that it is mended. It opens again by itself when it occurs again.'}
    </ConfirmAction>
  );
}
