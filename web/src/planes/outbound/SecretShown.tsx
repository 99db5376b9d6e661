/** A new signing secret, shown this once. */
import { Button, Group, Modal, Stack } from '@mantine/core';
import { Snippet } from '../../ui/Snippet.tsx';
import { useFocusBack } from '../../ui/useFocusBack.ts';

export interface Shown {
  secret: string;
  public_key: string;
}

export function SecretShown({ shown, onClose }: { shown: Shown | null; onClose: () => void }) {
  const opened = shown !== null;
  useFocusBack(opened);
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      returnFocus={false}
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
