/** Who is held back, by which rule, and whom a rule would hit: usage, blocks, lists, rules. */
import { Link, useSearch } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { useFresh } from '../../live/useFresh.ts';
import { Page } from '../../ui/Page.tsx';
import { PageWaiting } from '../../ui/PageStates.tsx';
import { AccessForm } from './AccessForm.tsx';
import { AccessTable } from './AccessTable.tsx';
import { concerns, KEYS } from './model.ts';
import style from './RateLimits.module.css';
import { Rules } from './Rules.tsx';
import type { Part, RateLimitSearch } from './routes.ts';
import { Usage } from './Usage.tsx';

const PARTS: { part: Part; label: string }[] = [
  { part: 'usage', label: 'Usage' },
  { part: 'blocks', label: 'Blocks' },
  { part: 'lists', label: 'Allow and deny lists' },
  { part: 'rules', label: 'Rules' },
  { part: 'editor', label: 'Try a rule' },
];

const Editor = lazy(() => import('./Editor.tsx').then((module) => ({ default: module.Editor })));

export function RateLimits() {
  const { view = 'usage' }: RateLimitSearch = useSearch({ strict: false });
  useFresh(KEYS, concerns);
  return (
    <Page
      title="Rate limits"
      actions={
        <>
          <AccessForm effect="block" />
          <AccessForm effect="list" />
        </>
      }
    >
      <nav className={style.parts} aria-label="Parts of rate limits">
        {PARTS.map(({ part, label }) => (
          <Link
            key={part}
            to="/rate-limits"
            search={
              ((kept: Record<string, unknown>) => ({
                ...shared(kept),
                view: part === 'usage' ? undefined : part,
              })) as never
            }
            className={style.part}
            // Which part it is, is in the search of the URL only.
            activeOptions={{ includeSearch: true, explicitUndefined: true }}
          >
            {label}
          </Link>
        ))}
      </nav>
      {view === 'usage' && <Usage />}
      {view === 'blocks' && <AccessTable which="blocks" />}
      {view === 'lists' && <AccessTable which="lists" />}
      {view === 'rules' && <Rules />}
      <Suspense fallback={<PageWaiting />}>{view === 'editor' && <Editor />}</Suspense>
    </Page>
  );
}

/** What stays when one goes to another part: time range, comparison, zone; not the filters of this one. */
function shared(kept: Record<string, unknown>): Record<string, unknown> {
  const { from, to, compare, live, tz } = kept;
  return { from, to, compare, live, tz };
}
