import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';
import { oneOf, type Raw, text } from '../../view/search.ts';

export const ROLES = ['owner', 'admin', 'member'] as const;
export const STATES = ['active', 'disabled'] as const;

/** What the URL of the users means. */
export interface UsersSearch {
  /** The profile that is open. */
  open?: string;
  role?: (typeof ROLES)[number];
  state?: (typeof STATES)[number];
}

const users = (raw: Raw): UsersSearch => ({
  open: text(raw.open),
  role: oneOf(raw.role, ROLES),
  state: oneOf(raw.state, STATES),
});

export const identityRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/settings',
    validateSearch: users,
    component: lazyRouteComponent(() => import('./pages.ts'), 'Users'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings/users/$id',
    component: lazyRouteComponent(() => import('./pages.ts'), 'UserPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings/api-keys',
    component: lazyRouteComponent(() => import('./pages.ts'), 'ApiKeys'),
  }),
] as const;
