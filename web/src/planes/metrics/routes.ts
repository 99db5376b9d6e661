import { createRoute, lazyRouteComponent } from '@tanstack/react-router';
import { root } from '../../shell/root.tsx';
import { oneOf, type Raw, text } from '../../view/search.ts';

export const WHOSE = ['built-in', 'all'] as const;

/** What the URL of the list means. */
export interface MetricsSearch {
  /** Those that Custodes measures by itself, or all; those of the app unless told. */
  whose?: (typeof WHOSE)[number];
}

/** What the URL of one metric means. */
export interface MetricSearch {
  tenant?: string;
  /** How the numbers of a step become one; `percentiles` of a histogram, three lines. */
  as?: string;
  /** `series`: each apart; else the label whose values have a line each. All in one unless told. */
  by?: string;
}

export const metricsRoutes = [
  createRoute({
    getParentRoute: () => root,
    path: '/metrics',
    validateSearch: (raw: Raw): MetricsSearch => ({ whose: oneOf(raw.whose, WHOSE) }),
    component: lazyRouteComponent(() => import('./pages.ts'), 'Metrics'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/metrics/$name',
    validateSearch: (raw: Raw): MetricSearch => ({ tenant: text(raw.tenant), as: text(raw.as), by: text(raw.by) }),
    component: lazyRouteComponent(() => import('./pages.ts'), 'MetricPage'),
  }),
] as const;
