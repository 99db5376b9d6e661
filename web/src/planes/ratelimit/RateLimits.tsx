/** Who is held back, by which rule, and whom a rule would hit: usage, blocks, lists, rules. */
import { useSearch } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { useFresh } from '../../live/useFresh.ts';
import { AccessButton } from '../../ui/AccessButton.tsx';
import { Page } from '../../ui/Page.tsx';
import { PageWaiting } from '../../ui/PageStates.tsx';
import { SubTabs } from '../../ui/SubTabs.tsx';
import { AccessTable } from './AccessTable.tsx';
import { concerns, KEYS } from './model.ts';
import { Rules } from './Rules.tsx';
import type { Part, RateLimitSearch } from './routes.ts';
import { Usage } from './Usage.tsx';

const TABS = [
  { id: 'usage', label: 'Usage' },
  { id: 'blocks', label: 'Blocks' },
  { id: 'lists', label: 'Allow and deny lists' },
  { id: 'rules', label: 'Rules' },
  { id: 'editor', label: 'Try a rule' },
] satisfies { id: Part; label: string }[];

const Editor = lazy(() => import('./Editor.tsx').then((module) => ({ default: module.Editor })));

export function RateLimits() {
  const { view = 'usage' }: RateLimitSearch = useSearch({ strict: false });
  useFresh(KEYS, concerns);
  return (
    <Page
      title="Rate limits"
      part={TABS.find(({ id }) => id === view)?.label}
      by={['kind', 'effect', 'ended']}
      actions={
        <>
          <AccessButton effect="block" />
          <AccessButton effect="list" />
        </>
      }
    >
      <SubTabs label="Parts of rate limits" to="/rate-limits" param="view" tabs={TABS} current={view} keep={shared} />
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
