/** Everything with one trace id, across the planes, on one timeline: what happened, in which order, and how long it took. */
import { Link } from '@tanstack/react-router';
import type { Schemas } from '../api/client.ts';
import { isProblem } from '../api/client.ts';
import { useGet } from '../api/hooks.ts';
import { duration, millis } from '../time/format.ts';
import { useMoment } from '../view/view.ts';
import { asSaid } from './asSaid.ts';
import {
  type Icon,
  IconAlertTriangle,
  IconGauge,
  IconHandStop,
  IconRefresh,
  IconRoute,
  IconShieldCheck,
  IconWebhook,
} from './icons.ts';
import { Message } from './Message.tsx';
import { Panel } from './Panel.tsx';
import type { Tone } from './palette.ts';
import { usePalette } from './palette.ts';
import { Copy } from './Snippet.tsx';
import style from './TraceTimeline.module.css';

type Span = Schemas['SpanModel'];

/** Icon and name of each kind; an unknown one of a newer server is shown as it is called. */
const KINDS: Record<string, { icon: Icon; name: string }> = {
  request: { icon: IconGauge, name: 'Request' },
  refusal: { icon: IconHandStop, name: 'Refused' },
  error: { icon: IconAlertTriangle, name: 'Error' },
  webhook: { icon: IconWebhook, name: 'Webhook' },
  attempt: { icon: IconRefresh, name: 'Attempt' },
  delivery: { icon: IconRoute, name: 'Delivery' },
  audit: { icon: IconShieldCheck, name: 'Audit' },
};

/** Where a kind is shown: the tab and its part, in which one item opens by `open`. */
const PLACES: Record<string, { to: string; part?: string }> = {
  request: { to: '/api', part: 'calls' },
  refusal: { to: '/api', part: 'calls' },
  webhook: { to: '/webhooks', part: 'events' },
  attempt: { to: '/webhooks', part: 'events' },
  audit: { to: '/audit' },
};

const TONES: Record<string, Tone> = { success: 'info', failure: 'bad', attention: 'warn' };

interface TraceTimelineProps {
  traceId: string;
  /** Id of the thing that one has come from: it is marked. */
  here?: string;
}

export function TraceTimeline({ traceId, here }: TraceTimelineProps) {
  const asked = useGet('/traces/{trace_id}', {}, { path: { trace_id: traceId }, fresh: true, enabled: traceId !== '' });
  const unknown = traceId === '' || (asked.isError && isProblem(asked.error) && asked.error.status === 404);
  const spans = asked.data?.spans ?? [];
  return (
    <Panel
      title="Trace"
      note={traceId && <span className="mono">{traceId}</span>}
      actions={traceId && <Copy text={traceId} label="Copy id" />}
      of={unknown ? [] : asked}
      empty={unknown || spans.length === 0}
      whenEmpty={
        <Message
          icon={<IconRoute size={28} />}
          title={traceId ? 'Nothing else is known of this trace' : 'This has no trace id'}
          text={
            traceId
              ? 'Requests show up some seconds after they ended; old ones are past their retention time.'
              : 'It was not recorded within a request, or the caller gave no id.'
          }
        />
      }
      height={140}
    >
      <Lines spans={spans} here={here} />
      {asked.data?.cut && <p className="faint">Only the newest of each kind are shown.</p>}
    </Panel>
  );
}

function Lines({ spans, here }: { spans: readonly Span[]; here?: string | undefined }) {
  const palette = usePalette();
  const moment = useMoment();
  const begin = Math.min(...spans.map((span) => millis(span.at)));
  const end = Math.max(...spans.map((span) => millis(span.at) + (span.duration_us ?? 0) / 1_000));
  const whole = Math.max(1, end - begin);
  return (
    <ol className={style.lines} aria-label="What happened, earliest first">
      {spans.map((span) => {
        const known = KINDS[span.kind] ?? { icon: IconRoute, name: span.kind };
        const from = millis(span.at) - begin;
        const long = (span.duration_us ?? 0) / 1_000;
        const x = (from / whole) * 100;
        const width = Math.max(1, (long / whole) * 100);
        const tone = TONES[span.outcome] ?? 'plain';
        return (
          <li
            key={`${span.kind} ${span.id} ${span.at} ${span.title}`}
            className={style.line}
            data-inner={span.parent !== null}
            data-here={span.id === here}
          >
            <span className={style.kind} data-tone={tone}>
              <known.icon size={15} aria-hidden="true" />
              {known.name}
            </span>
            <span className={style.title}>
              <Title span={span} />
              {span.outcome !== 'success' && <span className="unseen">, {span.outcome}</span>}
              {span.detail && <span className={style.detail}>{span.detail}</span>}
            </span>
            <time className={style.when} dateTime={span.at} title={moment(span.at, 'iso')}>
              +{duration(from)}
            </time>
            <span className={style.took}>{span.duration_us === null ? '' : duration(long)}</span>
            <svg className={style.bar} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
              <rect width="100" height="6" className={style.ground} />
              <rect
                x={Math.min(99, x)}
                width={Math.min(width, 100 - Math.min(99, x))}
                height="6"
                fill={palette.series(0, tone)}
              />
            </svg>
          </li>
        );
      })}
    </ol>
  );
}

function Title({ span }: { span: Span }) {
  if (span.kind === 'delivery') {
    return (
      <Link to={'/webhooks/endpoints' as '/audit'} search={{ open: span.parent, delivery: span.id } as never}>
        {asSaid(span.title)}
      </Link>
    );
  }
  const place = PLACES[span.kind];
  if (!place) return <span>{asSaid(span.title)}</span>;
  const open = span.kind === 'refusal' ? (span.parent ?? span.id) : span.id;
  return (
    // Without the filters of the tab that one comes from: they would mean something else there.
    <Link to={place.to as '/audit'} search={{ part: place.part, open } as never}>
      {asSaid(span.title)}
    </Link>
  );
}
