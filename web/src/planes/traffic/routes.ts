import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';

export const trafficRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/api',
    component: lazyRouteComponent(() => import('./Traffic.tsx'), 'Traffic'),
  }),
] as const;
