/** What the server says to a rule as it is written now. */
import type { UseQueryResult } from '@tanstack/react-query';
import { sentence } from '../../api/client.ts';
import type { Answer } from '../../api/hooks.ts';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import type { Draft } from './draft.ts';
import { back, most } from './model.ts';
import style from './RateLimits.module.css';

interface VerdictProps {
  draft: Draft;
  check: UseQueryResult<Answer<'/rate-limits/rule-check'>>;
}

export function Verdict({ draft, check }: VerdictProps) {
  if (!draft.limits?.trim()) return <p className="faint">What its limits promise is said here while you type.</p>;
  const found = check.data;
  const bad = check.isError || found?.valid === false;
  return (
    <div className={style.verdict} data-tone={bad ? 'bad' : 'good'} role="status">
      {check.isError && <p>{sentence(check.error)}</p>}
      {found && !found.valid && (
        <>
          <StatusBadge state="cannot be made" tone="bad" />
          <p>{found.detail}.</p>
          {found.remedy && <p className="faint">{found.remedy}</p>}
        </>
      )}
      {found?.valid && (
        <>
          <StatusBadge state="holds" tone="good" />
          <ul className={style.promises}>
            {found.limits.map((limit) => (
              <li key={limit.text}>
                <b className="mono">{limit.text}</b> counts by {limit.algorithm}: {most(limit)}, and what was used is
                free again {back(limit)}.
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
