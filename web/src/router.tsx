/** The routes: each plane brings its own; the search parameters of every view are the root's. */
import { createRouter } from '@tanstack/react-router';
import { boot } from './boot.ts';
import { alertsRoutes } from './planes/alerts/routes.ts';
import { auditRoutes } from './planes/audit/routes.ts';
import { identityRoutes } from './planes/identity/routes.ts';
import { inboundRoutes } from './planes/inbound/routes.ts';
import { metricsRoutes } from './planes/metrics/routes.ts';
import { outboundRoutes } from './planes/outbound/routes.ts';
import { overviewRoutes } from './planes/overview/routes.ts';
import { ratelimitRoutes } from './planes/ratelimit/routes.ts';
import { trafficRoutes } from './planes/traffic/routes.ts';
import { root } from './shell/root.tsx';
import { PageFailed, PageWaiting } from './ui/PageStates.tsx';
import { parseSearch, stringifySearch } from './view/search.ts';

export const router = createRouter({
  routeTree: root.addChildren([
    ...overviewRoutes,
    ...inboundRoutes,
    ...outboundRoutes,
    ...trafficRoutes,
    ...auditRoutes,
    ...ratelimitRoutes,
    ...metricsRoutes,
    ...identityRoutes,
    ...alertsRoutes,
  ]),
  basepath: boot.base,
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  defaultPendingComponent: PageWaiting,
  defaultErrorComponent: PageFailed,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
