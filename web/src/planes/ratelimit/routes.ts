import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';
import { oneOf, type Raw, text } from '../../view/search.ts';
import { type Draft, draftOf } from './draft.ts';

/** The parts of the tab. */
export const PARTS = ['usage', 'blocks', 'lists', 'rules', 'editor'] as const;
export type Part = (typeof PARTS)[number];

export const KINDS = ['ip', 'user', 'api_key', 'tenant'] as const;

/** What the tab's part of the URL means. */
export interface RateLimitSearch extends Draft {
  view?: Part;
  /** The block, list entry or rule that is open. */
  open?: string;
  kind?: (typeof KINDS)[number];
  /** Also blocks that have ended. */
  ended?: 'yes';
  effect?: 'allow' | 'deny';
  /** Id of the rule that is changed; without it a new one is made. */
  edit?: string;
  /** Its version that the change began with: a change of somebody else meanwhile is not written over. */
  version?: string;
  /** The replay was asked for. */
  run?: 'yes';
}

function search(raw: Raw): RateLimitSearch {
  return {
    view: oneOf(raw.view, PARTS),
    open: text(raw.open),
    kind: oneOf(raw.kind, KINDS),
    ended: oneOf(raw.ended, ['yes']),
    effect: oneOf(raw.effect, ['allow', 'deny']),
    edit: text(raw.edit),
    version: text(raw.version),
    run: oneOf(raw.run, ['yes']),
    ...draftOf(raw),
  };
}

export const ratelimitRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/rate-limits',
    validateSearch: search,
    component: lazyRouteComponent(() => import('./RateLimits.tsx'), 'RateLimits'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/rate-limits/blocks/$id',
    component: lazyRouteComponent(() => import('./BlockPage.tsx'), 'BlockPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/rate-limits/rules/$name',
    component: lazyRouteComponent(() => import('./RulePage.tsx'), 'RulePage'),
  }),
] as const;
