/** Opens the links to the customer portal; what is in it is loaded when it is asked for. */
import { Button, Modal, Skeleton } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';

const Links = lazy(() => import('./PortalLinks.tsx').then((module) => ({ default: module.PortalLinks })));

export function PortalButton() {
  const [opened, setOpened] = useState(false);
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setOpened(true)}>
        Portal links
      </Button>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title="Links to the customer portal"
        size="lg"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <Suspense fallback={<Skeleton height={320} radius="sm" />}>
          <Links />
        </Suspense>
      </Modal>
    </>
  );
}
