/** A button whose action is asked about first, for those only who may call it. */
import { type Operation, useMay } from '../api/may.ts';
import { ConfirmButton, type ConfirmButtonProps } from './ConfirmButton.tsx';

interface ConfirmActionProps extends ConfirmButtonProps {
  /** What it calls: it is not offered to those who may not. */
  operation: Operation;
}

export function ConfirmAction({ operation, ...more }: ConfirmActionProps) {
  return useMay()(operation) ? <ConfirmButton {...more} /> : null;
}
