/** What the one who is signed in may do: what a role may not do is not offered. The server refuses it all the same. */
import { queryOptions, useQuery } from '@tanstack/react-query';
import type { operations } from './schema.d.ts';
import { me } from './session.ts';

/** An operation of the API by its id: `ratelimit_create_block`. */
export type Operation = keyof operations;

/** Who one is, as it is kept. */
export const whoIAm = queryOptions({ queryKey: ['me'], queryFn: () => me(), staleTime: Number.POSITIVE_INFINITY });

/** Whether an operation is allowed; false until that is known. */
export function useMay(): (operation: Operation) => boolean {
  const { data } = useQuery(whoIAm);
  return (operation) => data?.may.includes(operation) ?? false;
}
