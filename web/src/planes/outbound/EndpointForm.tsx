/** Add an endpoint, or change one. */
import { Button, Modal, Skeleton } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import type { Endpoint } from './model.ts';
import { SecretShown, type Shown } from './SecretShown.tsx';

const Fields = lazy(() => import('./EndpointFields.tsx').then((module) => ({ default: module.EndpointFields })));

export function EndpointForm({ endpoint }: { endpoint?: Endpoint }) {
  const [opened, setOpened] = useState(false);
  const [shown, setShown] = useState<Shown | null>(null);
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setOpened(true)}>
        {endpoint ? 'Edit' : 'Add an endpoint'}
      </Button>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title={endpoint ? 'Change the endpoint' : 'Add an endpoint'}
        size="lg"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <Suspense fallback={<Skeleton height={480} radius="sm" />}>
          <Fields endpoint={endpoint} onClose={() => setOpened(false)} onMade={setShown} />
        </Suspense>
      </Modal>
      <SecretShown shown={shown} onClose={() => setShown(null)} />
    </>
  );
}
