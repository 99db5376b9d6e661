import type { ReactNode } from 'react';
import { type Operation, useMay } from '../api/may.ts';

/** What is in it is offered to those only who may call this operation of the API. */
export function May({ operation, children }: { operation: Operation; children: ReactNode }) {
  return useMay()(operation) ? children : null;
}
