/** Add an endpoint, or change one. */
import { Skeleton } from '@mantine/core';
import { lazy, Suspense } from 'react';
import { IconPlus } from '../../ui/icons.ts';
import { EndpointDialog } from './EndpointDialog.tsx';
import type { Endpoint } from './model.ts';

const Fields = lazy(() => import('./EndpointFields.tsx').then((module) => ({ default: module.EndpointFields })));

export function EndpointForm({ endpoint }: { endpoint?: Endpoint }) {
  return (
    <EndpointDialog
      title={endpoint ? 'Change the endpoint' : 'Add an endpoint'}
      {...(endpoint ? {} : { variant: 'filled', leftSection: <IconPlus size={15} aria-hidden="true" /> })}
      fields={(tell) => (
        <Suspense fallback={<Skeleton height={480} radius="sm" />}>
          <Fields endpoint={endpoint} {...tell} />
        </Suspense>
      )}
    >
      {endpoint ? 'Edit' : 'Add an endpoint'}
    </EndpointDialog>
  );
}
