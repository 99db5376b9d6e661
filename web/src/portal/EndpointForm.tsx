/** Add an endpoint, or change one; the server's words when it refuses. */
import { Alert, Button, Group, Modal, Stack, TagsInput, Textarea, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { isProblem, sentence } from '../api/problem.ts';
import { SecretShown, type Shown } from '../planes/outbound/SecretShown.tsx';
import { IconPlus } from '../ui/icons.ts';
import { api, type Endpoint, sent } from './api.ts';
import { useCatalogue } from './Endpoints.tsx';
import { headersOf } from './words.ts';

export function EndpointForm({ endpoint, disabled }: { endpoint?: Endpoint; disabled?: boolean }) {
  const [opened, setOpened] = useState(false);
  const [shown, setShown] = useState<Shown | null>(null);
  const title = endpoint ? 'Change the endpoint' : 'Add an endpoint';
  return (
    <>
      <Button
        size="xs"
        variant={endpoint ? 'default' : 'filled'}
        disabled={disabled}
        leftSection={endpoint ? undefined : <IconPlus size={14} aria-hidden="true" />}
        onClick={() => setOpened(true)}
      >
        {endpoint ? 'Edit' : 'Add endpoint'}
      </Button>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title={title}
        size="lg"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <Fields endpoint={endpoint} onClose={() => setOpened(false)} onMade={setShown} />
      </Modal>
      <SecretShown shown={shown} onClose={() => setShown(null)} />
    </>
  );
}

interface FieldsProps {
  endpoint?: Endpoint;
  onClose: () => void;
  onMade: (shown: Shown) => void;
}

function Fields({ endpoint, onClose, onMade }: FieldsProps) {
  const queries = useQueryClient();
  const known = useCatalogue();
  const [url, setUrl] = useState(endpoint?.url ?? '');
  const [types, setTypes] = useState(endpoint?.event_types ?? ['*']);
  const [description, setDescription] = useState(endpoint?.description ?? '');
  const [headers, setHeaders] = useState('');
  const [rate, setRate] = useState(endpoint?.rate ?? 0);
  const [fault, setFault] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const read = headersOf(headers);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    const given = headers.trim() && read ? { headers: read } : {};
    const body = { url: url.trim(), event_types: types, description, rate, ...given };
    try {
      if (endpoint) {
        await sent(api.PATCH('/api/endpoints/{id}', { params: { path: { id: endpoint.id } }, body }));
        notifications.show({ message: 'The endpoint is changed' });
      } else {
        onMade(await sent(api.POST('/api/endpoints', { body: { headers: {}, ...body } })));
      }
      void queries.invalidateQueries();
      onClose();
    } catch (error) {
      setFault(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Stack gap="sm">
        {fault !== null && (
          <Alert color="red" title={sentence(fault)}>
            {isProblem(fault) ? fault.remedy : undefined}
          </Alert>
        )}
        <TextInput
          label="URL"
          description="Where your server takes the requests"
          value={url}
          placeholder="https://example.com/webhooks"
          required
          maxLength={2_000}
          data-autofocus
          onChange={(event) => setUrl(event.currentTarget.value)}
        />
        <TagsInput
          label="Events"
          description="order.paid, order.* for all below, * for everything"
          value={types}
          data={['*', ...(known.data ?? []).map(({ name }) => name)]}
          splitChars={[',', ' ']}
          acceptValueOnBlur
          maxTags={50}
          onChange={setTypes}
        />
        <TextInput
          label="Description"
          value={description}
          maxLength={500}
          onChange={(event) => setDescription(event.currentTarget.value)}
        />
        <Textarea
          label="Headers"
          description={
            endpoint && endpoint.header_names.length > 0
              ? `Kept as they are (${endpoint.header_names.join(', ')}) unless you write them anew, one “Name: value” a line`
              : 'Sent with each request, one “Name: value” a line'
          }
          value={headers}
          error={read === null ? 'One “Name: value” a line' : undefined}
          autosize
          minRows={2}
          onChange={(event) => setHeaders(event.currentTarget.value)}
        />
        <TextInput
          type="number"
          label="Requests a second, at most"
          description="0: as many as come"
          value={rate}
          step="any"
          min={0}
          max={10_000}
          onChange={(event) => setRate(Number(event.currentTarget.value))}
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy} disabled={read === null || types.length === 0}>
            {endpoint ? 'Save' : 'Add'}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
