import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';

export const auditRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/audit',
    component: lazyRouteComponent(() => import('./Audit.tsx'), 'Audit'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/audit/report',
    component: lazyRouteComponent(() => import('./Report.tsx'), 'Report'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/audit/actors/$actor',
    component: lazyRouteComponent(() => import('./ActorDetail.tsx'), 'ActorPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/audit/$id',
    component: lazyRouteComponent(() => import('./EntryDetail.tsx'), 'EntryPage'),
  }),
] as const;
