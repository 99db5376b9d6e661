import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';

export const inboundRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/webhooks',
    component: lazyRouteComponent(() => import('./Webhooks.tsx'), 'Webhooks'),
  }),
] as const;
