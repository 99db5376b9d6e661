/** The portal: opens the link, then shows the customer's endpoints, within the vendor's name and colour. */
import {
  Button,
  createTheme,
  type MantineColorsTuple,
  MantineProvider,
  mergeThemeOverrides,
  Skeleton,
} from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryCache, QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { setNonce } from 'get-nonce';
import { useEffect, useState } from 'react';
import { isProblem, sentence } from '../api/problem.ts';
import { IconWebhook } from '../ui/icons.ts';
import { Message } from '../ui/Message.tsx';
import { theme } from '../ui/theme.ts';
import { openSession, type Session, takeToken } from './api.ts';
import { boot } from './boot.ts';
import { EndpointPage } from './EndpointPage.tsx';
import { Endpoints } from './Endpoints.tsx';
import { Header } from './Header.tsx';
import style from './Portal.module.css';
import { usePlace } from './place.ts';

setNonce(boot.nonce);

/** The vendor's colour in place of ours; what is written on it is black or white, whichever is read better. */
const branded = mergeThemeOverrides(
  theme,
  createTheme({
    // At this luminance black and white have the same contrast, 4.6 (WCAG 1.4.3).
    luminanceThreshold: 0.18,
    // One shade for both schemes: what is written on it is chosen for the light one.
    primaryShade: 7,
    ...(boot.colour && {
      primaryColor: 'brand',
      colors: { brand: Array.from({ length: 10 }, () => boot.colour) as unknown as MantineColorsTuple },
    }),
  }),
);

const refused = (error: unknown): boolean => isProblem(error) && error.status < 500;
const token = takeToken();

export function App() {
  const [ended, setEnded] = useState<unknown>(null);
  const [queries] = useState(
    () =>
      new QueryClient({
        queryCache: new QueryCache({
          // The link has ended meanwhile: whoever asks next is told.
          onError: (error) => isProblem(error) && error.status === 401 && setEnded(error),
        }),
        defaultOptions: {
          queries: {
            staleTime: 5_000,
            refetchInterval: 10_000,
            retry: (failures, error) => failures < 2 && !refused(error),
          },
        },
      }),
  );
  useEffect(() => {
    document.title = boot.name ? `Webhooks · ${boot.name}` : 'Webhooks';
  }, []);
  return (
    <MantineProvider theme={branded} defaultColorScheme="auto" getStyleNonce={() => boot.nonce}>
      <QueryClientProvider client={queries}>
        {ended === null ? <Opened /> : <Ended error={ended} />}
        <Notifications position="bottom-right" limit={4} />
      </QueryClientProvider>
    </MantineProvider>
  );
}

function Opened() {
  const asked = useQuery({
    queryKey: ['session'],
    queryFn: () => openSession(token),
    staleTime: Number.POSITIVE_INFINITY,
    refetchInterval: false,
    refetchOnWindowFocus: false,
  });
  if (asked.data) return <Portal session={asked.data} />;
  if (asked.isError)
    return (
      <Frame>
        <Message title="The portal could not be opened" text={sentence(asked.error)} tone="bad">
          <Button size="xs" variant="light" onClick={() => void asked.refetch()}>
            Try again
          </Button>
        </Message>
      </Frame>
    );
  return (
    <Frame>
      <div className={style.stack} role="status" aria-label="Loading">
        <Skeleton height={28} width={180} />
        <Skeleton height={110} />
        <Skeleton height={110} />
      </div>
    </Frame>
  );
}

function Portal({ session }: { session: Session }) {
  const { endpoint } = usePlace();
  return (
    <Frame session={session}>
      {endpoint ? <EndpointPage key={endpoint} id={endpoint} session={session} /> : <Endpoints session={session} />}
    </Frame>
  );
}

function Ended({ error }: { error: unknown }) {
  const [title, remedy] = isProblem(error) ? [sentence(error), error.remedy] : ['This link has ended', ''];
  return (
    <Frame>
      <div className={style.card}>
        <Message icon={<IconWebhook size={32} />} title={title} text={remedy} />
      </div>
    </Frame>
  );
}

function Frame({ session, children }: { session?: Session; children: React.ReactNode }) {
  return (
    <div className={style.page}>
      <Header session={session} />
      <main className={style.main}>{children}</main>
    </div>
  );
}
