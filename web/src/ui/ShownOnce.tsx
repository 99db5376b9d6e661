/** A password, a key or a secret that was just made, shown this once. */
import { Button, Group, Modal, Stack } from '@mantine/core';
import type { ReactNode } from 'react';
import { Snippet } from './Snippet.tsx';
import { useFocusBack } from './useFocusBack.ts';

export interface Once {
  title: string;
  /** What to do with it. */
  text: ReactNode;
  secret: string;
  /** What belongs to it and is no secret; by what it is called. */
  beside?: { label: string; text: string };
}

/** Closed on purpose only: neither a click beside it nor Escape takes away what nobody has kept yet. */
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
          {once.secret && <Snippet text={once.secret} label={once.title} />}
          {once.beside?.text && <Snippet {...once.beside} />}
          <Group justify="flex-end">
            <Button onClick={onClose}>I have kept it</Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}
