/** The route that all others are below: the shell, and the search parameters of every view. */
import { createRootRoute, retainSearchParams } from '@tanstack/react-router';
import { PageUnknown } from '../ui/PageStates.tsx';
import { LASTING, viewSearch } from '../view/search.ts';
import { Shell } from './Shell.tsx';

export const root = createRootRoute({
  validateSearch: viewSearch,
  // A link to another tab keeps the time range and the zone.
  search: { middlewares: [retainSearchParams([...LASTING])] },
  component: Shell,
  notFoundComponent: PageUnknown,
});
