/** One call in full: what was asked, by whom, how long each part took, what came of it, and its trace. */
import { Link } from '@tanstack/react-router';
import { useGet } from '../../api/hooks.ts';
import { bytes, count } from '../../time/format.ts';
import { AccessButton } from '../../ui/AccessButton.tsx';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { HttpStatus, StatusBadge } from '../../ui/StatusBadge.tsx';
import { Traceback } from '../../ui/Traceback.tsx';
import { TraceTimeline } from '../../ui/TraceTimeline.tsx';
import { useMoment } from '../../view/view.ts';
import { Asking } from './Asking.tsx';
import type { Call } from './model.ts';
import type { TrafficSearch } from './search.ts';
import { Timing } from './Timing.tsx';
import { ToPart } from './ToPart.tsx';
import { TraceLink } from './TraceLink.tsx';
import style from './Traffic.module.css';

export function CallDetail({ id }: { id: string }) {
  const asked = useGet('/api-calls/{id}', undefined, { path: { id } });
  return <Asking asked={asked}>{asked.data && <Told call={asked.data} />}</Asking>;
}

function Told({ call }: { call: Call }) {
  const moment = useMoment();
  return (
    <>
      <Section title="Request">
        <KeyValue
          of={[
            ['Path', <code key="path">{`${call.method} ${call.path}`}</code>],
            [
              'Route',
              <Narrow
                key="route"
                change={{ route: call.route ?? '(unmatched)' }}
                text={call.route ?? 'no route matched'}
              />,
            ],
            ['Status', <HttpStatus key="status" status={call.status} />],
            ['Began', moment(call.started_at, 'milli')],
            ['Received', bytes(call.request_bytes)],
            ['Sent', bytes(call.response_bytes)],
            [
              'Client left',
              call.disconnected ? <StatusBadge key="left" state="before the last byte" tone="warn" /> : '',
            ],
            ['Refused by', call.limited_by && <RefusedBy key="rule" rule={call.limited_by} />],
            ['Kind', call.kind === 'http' ? '' : call.kind],
          ]}
        />
      </Section>
      {call.error && <Raised call={call} />}
      {!call.limited_by && call.kind !== 'websocket' && (
        <Section title="Time">
          <Timing call={call} />
        </Section>
      )}
      <Section title="Who">
        <KeyValue
          of={[
            ['User', call.user && <Narrow key="user" change={{ user: call.user }} text={call.user} />],
            ['API key', call.api_key && <Narrow key="key" change={{ api_key: call.api_key }} text={call.api_key} />],
            [
              'Address',
              call.client_ip && (
                <span key="ip" className={style.trace}>
                  <Narrow change={{ client_ip: call.client_ip }} text={call.client_ip} />
                  {(call.limited_by || call.status >= 400) && (
                    <AccessButton effect="block" kind="ip" identifier={call.client_ip} compact />
                  )}
                </span>
              ),
            ],
            ['User agent', call.user_agent],
            ['Tenant', call.tenant],
          ]}
        />
      </Section>
      <Section title="Ids">
        <KeyValue
          of={[
            ['Trace', call.trace_id && <TraceLink key="trace" id={call.trace_id} />],
            ['Span', call.span_id && <span className="mono">{call.span_id}</span>],
            ['Called by', call.parent_id && <span className="mono">{call.parent_id}</span>],
            [
              'Call',
              <span key="id" className="mono">
                {call.id}
              </span>,
            ],
          ]}
        />
      </Section>
      <TraceTimeline traceId={call.trace_id} here={call.id} />
    </>
  );
}

/** What was raised: its message, the kind of error that it is, and where in the app that was first raised. */
function Raised({ call }: { call: Call }) {
  const moment = useMoment();
  const path = { id: call.id };
  const asked = useGet('/api-calls/{id}/error', undefined, { path, enabled: call.error_group !== '' });
  const group = asked.data;
  return (
    <Section
      title="Error"
      actions={
        <ToPart whole change={{ part: 'calls', error_group: call.error_group }}>
          Calls with the same error
        </ToPart>
      }
    >
      <pre className={style.message}>{call.error}</pre>
      {group && (
        <>
          <KeyValue
            of={[
              [
                'Error group',
                <ToPart key="group" change={{ part: 'errors', open: group.id }}>
                  {group.title}
                </ToPart>,
              ],
              [
                'Occurred',
                <span key="count">
                  {`${count(group.count)} ${group.count === 1 ? 'time' : 'times'}, first ${moment(group.first_seen_at)} `}
                  <StatusBadge state={group.state} />
                </span>,
              ],
            ]}
          />
          <div className={style.frames}>
            <Traceback text={group.traceback} />
          </div>
        </>
      )}
    </Section>
  );
}

/** What shut a request out that no rule refused. */
const SHUT_OUT = ['block', 'ban', 'deny-list'];

function RefusedBy({ rule }: { rule: string }) {
  const search = SHUT_OUT.includes(rule)
    ? { view: rule === 'deny-list' ? 'lists' : 'blocks' }
    : { view: 'rules', open: rule };
  return (
    <Link
      to="/rate-limits"
      search={(({ from, to, tz }: Record<string, unknown>) => ({ from, to, tz, ...search })) as never}
      className={style.link}
    >
      {rule}
    </Link>
  );
}

function Narrow({ change, text }: { change: TrafficSearch; text: string }) {
  return (
    <ToPart change={{ part: 'calls', ...change }} title="All calls like this">
      {text}
    </ToPart>
  );
}
