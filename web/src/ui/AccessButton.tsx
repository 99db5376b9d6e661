import { Button } from '@mantine/core';
import { lazy } from 'react';
import { useMay } from '../api/may.ts';
import type { AccessDialogProps } from './AccessDialog.tsx';
import { IconBan, IconPlus } from './icons.ts';
import { useDialog } from './useDialog.tsx';

const load = () => import('./AccessDialog.tsx').then((module) => ({ default: module.AccessDialog }));
const AccessDialog = lazy(load);

interface AccessButtonProps extends Pick<AccessDialogProps, 'effect' | 'kind' | 'identifier'> {
  compact?: boolean;
}

/** Opens the dialog that blocks somebody, or puts them on a list, for those only who may. */
export function AccessButton({ compact, ...about }: AccessButtonProps) {
  const may = useMay();
  const { open, dialog } = useDialog(load, (shown) => <AccessDialog {...about} {...shown} />);
  const block = about.effect === 'block';
  if (!may(block ? 'ratelimit_create_block' : 'ratelimit_create_access_entry')) return null;
  return (
    <>
      <Button
        size={compact ? 'compact-xs' : 'xs'}
        variant="default"
        leftSection={block ? <IconBan size={15} aria-hidden="true" /> : <IconPlus size={15} aria-hidden="true" />}
        aria-label={compact ? `Block ${about.identifier}` : undefined}
        onClick={open}
      >
        {block ? 'Block' : 'Add to a list'}
      </Button>
      {dialog}
    </>
  );
}
