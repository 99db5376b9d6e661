import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';
import { trafficSearch } from './search.ts';

export const trafficRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/api',
    validateSearch: trafficSearch,
    component: lazyRouteComponent(() => import('./Traffic.tsx'), 'Traffic'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/api/$id',
    component: lazyRouteComponent(() => import('./CallPage.tsx'), 'CallPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/api/errors/$id',
    component: lazyRouteComponent(() => import('./ErrorPage.tsx'), 'ErrorPage'),
  }),
] as const;
