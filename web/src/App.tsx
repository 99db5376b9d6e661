import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { setNonce } from 'get-nonce';
import { createRoot } from 'react-dom/client';
import { isProblem } from './api/client.ts';
import { boot } from './boot.ts';
import { router } from './router.tsx';
import { theme } from './ui/theme.ts';

// Mantine's dialogs keep the page from scrolling by a style of their own, which asks here.
setNonce(boot.nonce);

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // The panels ask anew when the page's now moves.
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      // What the server refused it will refuse again; only what did not get through is worth a second try.
      retry: (failures, error) => failures < 2 && !(isProblem(error) && error.status < 500),
    },
  },
});

/** Draw the page. */
export function start(): void {
  const place = document.getElementById('root');
  if (place) createRoot(place).render(<App />);
}

function App() {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => boot.nonce}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
        <Notifications position="bottom-right" limit={4} />
      </QueryClientProvider>
    </MantineProvider>
  );
}
