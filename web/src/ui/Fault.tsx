/** What went wrong with what somebody wanted, and what helps. */
import { Alert } from '@mantine/core';
import { isProblem, sentence } from '../api/problem.ts';

export function Fault({ error }: { error: unknown }) {
  return (
    <Alert color="red" p="xs" title={sentence(error)}>
      {isProblem(error) ? error.remedy : undefined}
    </Alert>
  );
}
