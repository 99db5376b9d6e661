/** A new signing secret, shown this once. */
import { Button, Group, Modal, Stack } from '@mantine/core';
import { Snippet } from '../../ui/Snippet.tsx';

export interface Shown {
  secret: string;
  public_key: string;
}

export function SecretShown({ shown, onClose }: { shown: Shown | null; onClose: () => void }) {
  return (
    <Modal
      opened={shown !== null}
      onClose={onClose}
      title="Signing secret"
      closeOnClickOutside={false}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Stack gap="sm">
        <p>
          <b>It is not shown again.</b> Whoever receives the webhooks verifies them with it (Standard Webhooks). Keep it
          where secrets are kept.
        </p>
        {shown?.secret && <Snippet text={shown.secret} label="Signing secret" />}
        {shown?.public_key && <Snippet text={shown.public_key} label="Public key" />}
        <Group justify="flex-end">
          <Button onClick={onClose}>I have kept it</Button>
        </Group>
      </Stack>
    </Modal>
  );
}
