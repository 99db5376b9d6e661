import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';
import { oneOf, type Raw, text } from '../../view/search.ts';
import type { Draft } from './search.ts';

export const STATES = ['firing', 'pending', 'resolved'] as const;

/** What the URL of the rules means; the fields of a rule that is written are read where it is written. */
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
    validateSearch: (raw: Raw): RulesSearch => ({ open: text(raw.open), edit: text(raw.edit) }),
    component: lazyRouteComponent(() => import('./pages.ts'), 'Rules'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings/alert-rules/$id',
    component: lazyRouteComponent(() => import('./pages.ts'), 'RulePage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings/notifications',
    validateSearch: (raw: Raw): NotificationsSearch => ({ open: text(raw.open), state: oneOf(raw.state, STATES) }),
    component: lazyRouteComponent(() => import('./pages.ts'), 'Notifications'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings/notifications/$id',
    component: lazyRouteComponent(() => import('./pages.ts'), 'AlertPage'),
  }),
] as const;
