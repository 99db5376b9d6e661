import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { boot } from '../../boot.ts';
import { root } from '../../shell/root.tsx';
import { oneOf, type Raw } from '../../view/search.ts';

/** Whose events the activity shows; all unless told. */
export const PLANES = ['traffic', 'inbound', 'audit', 'ratelimit', 'alerts'] as const;

export interface OverviewSearch {
  plane?: (typeof PLANES)[number];
}

/** The page, and the promise of it when it is what the address asks for: it is on its way before anything is drawn. */
const load = () => import('./Overview.tsx');
if (location.pathname.replace(/\/$/, '') === boot.base) void load();

export const overviewRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/',
    validateSearch: (raw: Raw): OverviewSearch => ({ plane: oneOf(raw.plane, PLANES) }),
    component: lazyRouteComponent(load, 'Overview'),
  }),
] as const;
