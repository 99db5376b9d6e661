import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { setNonce } from 'get-nonce';
import { lazy, Suspense } from 'react';
import { createRoot } from 'react-dom/client';
import { isProblem } from './api/client.ts';
import { plain, timed } from './api/hooks.ts';
import { whoIAm } from './api/may.ts';
import { boot } from './boot.ts';
import { FIRST, FIRST_DRAWN } from './planes/overview/first.ts';
import { router } from './router.tsx';
import { theme } from './ui/theme.ts';
import type { View } from './view/view.ts';

// Fetched right after the first paint: what is told before it is there is kept, and shown then.
const Notices = lazy(() => import('./shell/Notices.tsx').then((module) => ({ default: module.Notices })));

// Mantine's dialogs keep the page from scrolling by a style of their own, which asks here.
setNonce(boot.nonce);

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // Whether the server answers is for the server to say: on the machine itself it does without any network.
      networkMode: 'always',
      // The panels ask anew when the page's now moves.
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      // What the server refused it will refuse again; only what did not get through is worth a second try.
      retry: (failures, error) => failures < 2 && !(isProblem(error) && error.status < 500),
    },
  },
});

/** Longest that the first answers are waited for before anything is drawn, milliseconds: not long enough to be felt. */
const PATIENCE = 150;

/** Draw the page. `first`: the stretch of time of the overview when that is what one sees first. */
export async function start(first?: Pick<View, 'bounds' | 'zone' | 'span' | 'when' | 'before'>): Promise<void> {
  if (first) {
    const known = FIRST.map(({ path, query, timed: ofRange }) =>
      ofRange ? queries.prefetchQuery(timed(path, query ?? {}, first)) : queries.prefetchQuery(plain(path, query)),
    );
    // What was asked ahead is mostly here by now: drawing it at once is faster than drawing twice.
    const wanted = Promise.all([queries.prefetchQuery(whoIAm), ...known.slice(0, FIRST_DRAWN)]);
    await Promise.race([wanted, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  }
  const place = document.getElementById('root');
  if (place) createRoot(place).render(<App />);
}

function App() {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => boot.nonce}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
        <Suspense>
          <Notices />
        </Suspense>
      </QueryClientProvider>
    </MantineProvider>
  );
}
