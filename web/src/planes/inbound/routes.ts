import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';
import { inboundSearch } from './search.ts';

export const inboundRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/webhooks',
    validateSearch: inboundSearch,
    component: lazyRouteComponent(() => import('./Webhooks.tsx'), 'Webhooks'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/webhooks/refused/$id',
    component: lazyRouteComponent(() => import('./RefusalPage.tsx'), 'RefusalPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/webhooks/$id',
    validateSearch: inboundSearch,
    component: lazyRouteComponent(() => import('./EventPage.tsx'), 'EventPage'),
  }),
] as const;
