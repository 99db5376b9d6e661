/** The latest calls that something is about: each leads to the call, and to all that happened in its trace. */
import type { Params } from '../../api/hooks.ts';
import { useGet } from '../../api/hooks.ts';
import { ago, millis } from '../../time/format.ts';
import { HttpStatus } from '../../ui/StatusBadge.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { Asking } from './Asking.tsx';
import { ToPart } from './ToPart.tsx';
import style from './Traffic.module.css';

/** As many as one looks through without scrolling. */
const SHOWN = 8;

export function LatestCalls({ query }: { query: Partial<Params<'/api-calls'>> }) {
  const asked = useGet('/api-calls', { ...query, limit: SHOWN }, { fresh: true });
  const { now } = useView();
  const moment = useMoment();
  const calls = asked.data?.items ?? [];
  return (
    <Asking asked={asked}>
      {calls.length === 0 ? (
        <p className="faint">None of them is kept any more: single calls are kept for days, figures for months.</p>
      ) : (
        <ul className={style.latest} aria-label="Latest calls">
          {calls.map((call) => (
            <li key={call.id}>
              <HttpStatus status={call.status} />
              <span className={style.call}>
                <ToPart whole change={{ part: 'calls', error_group: call.error_group || undefined, open: call.id }}>
                  {call.method} {call.path}
                </ToPart>
                <span className="faint">
                  {[call.error, call.user || call.api_key || call.client_ip].filter(Boolean).join(' · ')}
                </span>
              </span>
              <span className={style.links}>
                <time className="faint" dateTime={call.started_at} title={moment(call.started_at, 'iso')}>
                  {ago(millis(call.started_at), now)}
                </time>
                {call.trace_id && (
                  <ToPart
                    whole
                    change={{ part: 'calls', trace: call.trace_id, open: call.id }}
                    title="All of its trace"
                  >
                    Trace
                  </ToPart>
                )}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Asking>
  );
}
