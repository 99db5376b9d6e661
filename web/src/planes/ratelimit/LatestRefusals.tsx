/** Who was refused lately by a rule or a block, minute by minute: each leads to the calls, and to a trace. */
import { Link } from '@tanstack/react-router';
import { useGet } from '../../api/hooks.ts';
import { ago, count } from '../../time/format.ts';
import { AccessButton } from '../../ui/AccessButton.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { CALLS_BY } from './model.ts';
import style from './RateLimits.module.css';

/** As many as one looks through without scrolling. */
const SHOWN = 8;

/** Windows that are looked through for what a rule in shadow would have refused. */
const LOOKED = 200;

/** What can be shut out by the button. */
const PERSONS = ['ip', 'user', 'api_key'];

interface LatestRefusalsProps {
  /** Name of the rule, or `(block)`, `(ban)`, `(deny-list)`. */
  rule: string;
  /** Of this one only; it is not named again, nor can it be blocked again. */
  identifier?: string;
  /** From this moment on. */
  since?: string;
  /** Of this tenant alone. */
  tenant?: string | null;
  /** It refuses nobody: whom it would have refused. */
  shadow?: boolean;
}

export function LatestRefusals({ rule, identifier, since, tenant, shadow = false }: LatestRefusalsProps) {
  const query = {
    rule,
    identifier,
    since,
    refused_only: !shadow,
    limit: shadow ? LOOKED : SHOWN,
    ...(tenant && { tenant }),
  };
  const asked = useGet('/rate-limits/windows', query, { fresh: true });
  const { now } = useView();
  const moment = useMoment();
  const hits = (row: { refused: number; would_refuse: number }) => row.refused + (shadow ? row.would_refuse : 0);
  const rows = asked.data?.items.filter((row) => hits(row) > 0).slice(0, SHOWN);
  if (!rows) return null;
  if (rows.length === 0)
    return (
      <p className="faint">
        {shadow
          ? 'Nothing would have been refused lately.'
          : `Nothing was refused ${since ? 'since' : 'in the last day'}.`}
      </p>
    );
  return (
    <ul className={style.latest} aria-label="Latest refusals">
      {rows.map((row) => {
        const param = CALLS_BY[row.kind];
        const calls = { part: 'calls', [param ?? 'q']: row.identifier };
        return (
          <li key={row.id}>
            <span className={style.whom}>
              {!identifier && (
                <span className="mono">
                  {param ? (
                    <Link to="/api" search={calls as never} title="Its calls">
                      {row.identifier}
                    </Link>
                  ) : (
                    row.identifier
                  )}
                </span>
              )}
              <span className="faint mono">{row.endpoint === '*' ? 'everywhere' : row.endpoint}</span>
            </span>
            <span className={style.what}>
              <span>{`${count(hits(row))} ${shadow ? 'would be refused' : 'refused'}`}</span>
              <time className="faint" dateTime={row.window_start} title={moment(row.window_start, 'iso')}>
                {ago(row.window_start, now)}
              </time>
              {row.trace_id && (
                <Link
                  to="/api"
                  search={{ part: 'calls', trace: row.trace_id } as never}
                  title="The trace of the latest of them"
                >
                  Trace
                </Link>
              )}
              {!identifier && PERSONS.includes(row.kind) && (
                <AccessButton effect="block" kind={row.kind} identifier={row.identifier} compact />
              )}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
