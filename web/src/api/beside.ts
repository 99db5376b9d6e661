/** Two stretches of time in one chart have steps of one width: whoever asks about one names the begin of the other. */
import type { GetPath, Params } from './hooks.ts';

/** Paths that can be asked so. */
type Stepped = {
  [P in GetPath]: [Params<P>] extends [never] ? never : 'beside' extends keyof Params<P> ? P : never;
}[GetPath];

/** All of them: a path that is missing is an error of types. */
const STEPPED: Record<Stepped, true> = {
  '/api-analytics': true,
  '/api-health': true,
  '/api-latency': true,
  '/system-metrics/series': true,
  '/webhook-analytics': true,
  '/webhook-delivery-analytics': true,
};

/** Query parameter for a path whose answer is drawn beside the stretch that begins at `since`; none when none is. */
export function beside(path: GetPath, since: string | undefined): { beside?: string } {
  return since !== undefined && path in STEPPED ? { beside: since } : {};
}
