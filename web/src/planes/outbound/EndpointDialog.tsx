/** Adding an endpoint, or changing one: a button, the dialog, and then the new secret. In the dashboard and the portal. */
import { Button, type ButtonProps, Modal } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { SecretShown, type Shown } from './SecretShown.tsx';

/** What the fields of an endpoint are given: the one to change, and whom to tell. */
export interface FieldsProps<E> {
  endpoint?: E;
  onClose: () => void;
  onMade: (shown: Shown) => void;
}

interface EndpointDialogProps extends ButtonProps {
  title: string;
  fields: (tell: Pick<FieldsProps<never>, 'onClose' | 'onMade'>) => ReactNode;
}

export function EndpointDialog({ title, fields, ...button }: EndpointDialogProps) {
  const [opened, setOpened] = useState(false);
  const [shown, setShown] = useState<Shown | null>(null);
  const close = () => setOpened(false);
  return (
    <>
      <Button size="xs" variant="default" {...button} onClick={() => setOpened(true)} />
      <Modal opened={opened} onClose={close} title={title} size="lg" closeButtonProps={{ 'aria-label': 'Close' }}>
        {fields({ onClose: close, onMade: setShown })}
      </Modal>
      <SecretShown shown={shown} onClose={() => setShown(null)} />
    </>
  );
}
