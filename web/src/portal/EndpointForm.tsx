/** Add an endpoint, or change one; the server's words when it refuses. */
import { TagsInput, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { EndpointDialog, type FieldsProps } from '../planes/outbound/EndpointDialog.tsx';
import { HeaderFields } from '../planes/outbound/HeaderFields.tsx';
import { differing, headersOf, keptHeaders } from '../planes/outbound/written.ts';
import { AskForm } from '../ui/AskForm.tsx';
import { IconPlus } from '../ui/icons.ts';
import { api, type Endpoint, sent } from './api.ts';
import { useCatalogue } from './Endpoints.tsx';

export function EndpointForm({ endpoint, disabled }: { endpoint?: Endpoint; disabled?: boolean }) {
  return (
    <EndpointDialog
      title={endpoint ? 'Change the endpoint' : 'Add an endpoint'}
      variant={endpoint ? 'default' : 'filled'}
      disabled={disabled}
      leftSection={endpoint ? undefined : <IconPlus size={14} aria-hidden="true" />}
      fields={(tell) => <Fields endpoint={endpoint} {...tell} />}
    >
      {endpoint ? 'Edit' : 'Add endpoint'}
    </EndpointDialog>
  );
}

function Fields({ endpoint, onClose, onMade }: FieldsProps<Endpoint>) {
  const queries = useQueryClient();
  const known = useCatalogue();
  const [url, setUrl] = useState(endpoint?.url ?? '');
  const [types, setTypes] = useState(endpoint?.event_types ?? ['*']);
  const [description, setDescription] = useState(endpoint?.description ?? '');
  const [headers, setHeaders] = useState(() => keptHeaders(endpoint?.header_names ?? []));
  const [rate, setRate] = useState(endpoint?.rate ?? 0);

  async function submit(): Promise<void> {
    const body = { url: url.trim(), event_types: types, description, rate, headers: headersOf(headers) };
    if (endpoint) {
      const before = { ...endpoint, headers: headersOf(keptHeaders(endpoint.header_names)) };
      await sent(
        api.PATCH('/api/endpoints/{id}', { params: { path: { id: endpoint.id } }, body: differing(before, body) }),
      );
      notifications.show({ message: 'The endpoint is changed' });
    } else {
      onMade(await sent(api.POST('/api/endpoints', { body })));
    }
    void queries.invalidateQueries();
  }
  return (
    <AskForm label={endpoint ? 'Save' : 'Add'} submit={submit} onClose={onClose} disabled={types.length === 0}>
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
      <HeaderFields of={headers} onChange={setHeaders} />
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
    </AskForm>
  );
}
