import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';
import { oneOf, type Raw, text, texts } from '../../view/search.ts';

export const STATES = ['enabled', 'paused', 'disabled'] as const;

/** What the page's part of the URL means. */
export interface OutboundSearch {
  /** The endpoint that is open. */
  open?: string;
  /** The delivery whose attempts are shown. */
  delivery?: string;
  /** The two attempts of the delivery that are compared. */
  versus?: string[];
  /** Only endpoints in this state. */
  only?: (typeof STATES)[number];
  /** Only deliveries that were given up or are held. */
  missed?: 'failed' | 'held';
}

function search(raw: Raw): OutboundSearch {
  return {
    open: text(raw.open),
    delivery: text(raw.delivery),
    versus: texts(raw.versus),
    only: oneOf(raw.only, STATES),
    missed: oneOf(raw.missed, ['failed', 'held']),
  };
}

export const outboundRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/webhooks/endpoints',
    validateSearch: search,
    component: lazyRouteComponent(() => import('./Endpoints.tsx'), 'Endpoints'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/webhooks/endpoints/$id',
    validateSearch: search,
    component: lazyRouteComponent(() => import('./EndpointPage.tsx'), 'EndpointPage'),
  }),
] as const;
