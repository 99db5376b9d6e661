import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';

export const ratelimitRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/rate-limits',
    component: lazyRouteComponent(() => import('./RateLimits.tsx'), 'RateLimits'),
  }),
] as const;
