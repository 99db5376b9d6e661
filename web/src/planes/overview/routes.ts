import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';
import { oneOf, type Raw } from '../../view/search.ts';

/** Whose events the activity shows; all unless told. */
export const PLANES = ['traffic', 'inbound', 'audit', 'ratelimit', 'alerts'] as const;

export interface OverviewSearch {
  plane?: (typeof PLANES)[number];
}

export const overviewRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/',
    validateSearch: (raw: Raw): OverviewSearch => ({ plane: oneOf(raw.plane, PLANES) }),
    component: lazyRouteComponent(() => import('./Overview.tsx'), 'Overview'),
  }),
] as const;
