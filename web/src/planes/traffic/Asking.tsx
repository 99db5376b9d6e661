/** The states of a detail: on its way, gone, failed. */
import { Button, Skeleton } from '@mantine/core';
import type { ReactNode } from 'react';
import { isProblem, sentence } from '../../api/client.ts';
import { Message } from '../../ui/Message.tsx';
import type { Asked } from '../../ui/Panel.tsx';

export function Asking({ asked, children }: { asked: Asked; children: ReactNode }) {
  if (asked.data !== undefined) return <>{children}</>;
  if (!asked.isError) return <Skeleton height={320} />;
  const gone = isProblem(asked.error) && asked.error.status === 404;
  return (
    <Message
      tone={gone ? 'plain' : 'bad'}
      title={gone ? 'It is not there' : 'This could not be loaded'}
      text={sentence(asked.error)}
    >
      <Button size="xs" variant="light" onClick={() => asked.refetch()}>
        Try again
      </Button>
    </Message>
  );
}
