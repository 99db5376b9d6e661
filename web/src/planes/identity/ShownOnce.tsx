/** A password or a key that was just made, shown this once. */
import { Button, Group, Modal, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { Snippet } from '../../ui/Snippet.tsx';
import { useFocusBack } from '../../ui/useFocusBack.ts';

export interface Once {
  title: string;
  /** What to do with it. */
  text: ReactNode;
  secret: string;
}

export function ShownOnce({ once, onClose }: { once: Once | null; onClose: () => void }) {
  const opened = once !== null;
  useFocusBack(opened);
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      returnFocus={false}
      title={once?.title ?? ''}
      closeOnClickOutside={false}
      closeOnEscape={false}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {once && (
        <Stack gap="sm">
          <p style={{ margin: 0 }}>
            <b>It is not shown again.</b> {once.text}
          </p>
          <Snippet text={once.secret} label={once.title} />
          <Group justify="flex-end">
            <Button onClick={onClose}>I have kept it</Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}
