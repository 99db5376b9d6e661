/** The exact bytes of a webhook: the first part at once, all of it when asked for. */
import { Alert, Button, Group, Skeleton, Stack } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { API, api, sentence } from '../../api/client.ts';
import { sent } from '../../api/hooks.ts';
import { bytes as size } from '../../time/format.ts';
import { IconDownload } from '../../ui/icons.ts';
import { BytesView } from './BytesView.tsx';

/** Bytes that are fetched before somebody asks for more: enough for nearly every webhook. */
const FIRST = 256 * 1024;

export function Payload({ id, size: whole }: { id: string; size: number }) {
  const [all, setAll] = useState(false);
  const part = !all && whole > FIRST;
  const asked = useQuery({
    queryKey: ['/webhook-events/payload', id, part],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      const params = { path: { id }, query: part ? { first: FIRST } : {} };
      const path = '/api/admin/enterprise/webhook-events/{id}/payload';
      const body = await sent<ArrayBuffer>(api.GET(path, { params, parseAs: 'arrayBuffer', signal }));
      return new Uint8Array(body);
    },
  });
  if (asked.isError) return <Alert color="red">{sentence(asked.error)}</Alert>;
  if (!asked.data) return <Skeleton height={160} radius="sm" />;
  return (
    <Stack gap="xs">
      <BytesView bytes={asked.data} whole={!part} />
      <Group gap="xs">
        {part && (
          <>
            <span className="faint">
              The first {size(FIRST)} of {size(whole)}
            </span>
            <Button size="compact-xs" variant="default" onClick={() => setAll(true)}>
              Load all
            </Button>
          </>
        )}
        <Button
          size="compact-xs"
          variant="default"
          component="a"
          href={`${API}/webhook-events/${id}/payload`}
          download
          leftSection={<IconDownload size={13} aria-hidden="true" />}
        >
          Download the bytes
        </Button>
      </Group>
    </Stack>
  );
}
