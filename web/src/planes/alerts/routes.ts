import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';
import { oneOf, type Raw, text } from '../../view/search.ts';
import { type Draft, draftOf } from './search.ts';

export const STATES = ['firing', 'pending', 'resolved'] as const;

/** What the URL of the rules means. */
export interface RulesSearch extends Draft {
  /** The rule that is open. */
  open?: string;
  /** `new`, or the id of the rule that is changed. */
  edit?: string;
}

/** What the URL of the notifications means. */
export interface NotificationsSearch {
  /** The alert that is open. */
  open?: string;
  /** Only alerts in this state. */
  state?: (typeof STATES)[number];
}

export const alertsRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/settings/alert-rules',
    validateSearch: (raw: Raw): RulesSearch => ({ open: text(raw.open), edit: text(raw.edit), ...draftOf(raw) }),
    component: lazyRouteComponent(() => import('./Rules.tsx'), 'Rules'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings/alert-rules/$id',
    component: lazyRouteComponent(() => import('./RulePage.tsx'), 'RulePage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings/notifications',
    validateSearch: (raw: Raw): NotificationsSearch => ({ open: text(raw.open), state: oneOf(raw.state, STATES) }),
    component: lazyRouteComponent(() => import('./Notifications.tsx'), 'Notifications'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings/notifications/$id',
    component: lazyRouteComponent(() => import('./AlertPage.tsx'), 'AlertPage'),
  }),
] as const;
