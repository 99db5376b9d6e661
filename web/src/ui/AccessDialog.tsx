/** Block somebody, or put them on the allow list or the deny list; the server's words when it refuses. */
import { Alert, Button, Group, Modal, Select, Stack, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { api, isProblem, sentence } from '../api/client.ts';
import { sent } from '../api/hooks.ts';

const DURATIONS = [
  { value: '900', label: '15 minutes' },
  { value: '3600', label: 'An hour' },
  { value: '86400', label: 'A day' },
  { value: '604800', label: 'A week' },
  { value: '2592000', label: '30 days' },
  { value: '', label: 'Until it is lifted' },
];

const KINDS = [
  { value: 'ip', label: 'Address or network (CIDR)' },
  { value: 'user', label: 'User' },
  { value: 'api_key', label: 'API key, by its id' },
  { value: 'tenant', label: 'Tenant' },
];

const EFFECTS = [
  { value: 'allow', label: 'Allow list: no limit and no block holds' },
  { value: 'deny', label: 'Deny list: always refused' },
];

const EXAMPLES: Record<string, string> = {
  ip: '203.0.113.9 or 203.0.113.0/24',
  user: 'user id',
  api_key: 'key id',
  tenant: 'tenant id',
};

export interface AccessDialogProps {
  effect: 'block' | 'list';
  /** Filled in already. */
  kind?: string | undefined;
  identifier?: string | undefined;
  opened: boolean;
  close: () => void;
}

export function AccessDialog({ effect, kind: given = 'ip', identifier = '', opened, close }: AccessDialogProps) {
  const queries = useQueryClient();
  const [kind, setKind] = useState(given);
  const [seconds, setSeconds] = useState('86400');
  const [list, setList] = useState('allow');
  const [fault, setFault] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const block = effect === 'block';

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const who = String(form.get('identifier')).trim();
    const shared = { identifier: who, kind: kind as 'ip', reason: String(form.get('reason')) };
    setBusy(true);
    try {
      if (block) {
        const body = { ...shared, duration_seconds: seconds ? Number(seconds) : null };
        await sent(api.POST('/api/admin/enterprise/rate-limits/blocks', { body }));
      } else {
        await sent(
          api.POST('/api/admin/enterprise/rate-limits/lists', { body: { ...shared, effect: list as 'allow' } }),
        );
      }
      close();
      setFault(null);
      notifications.show({ message: block ? `${who} is blocked` : `${who} is on the ${list} list` });
      // Whatever shows limits, blocks or lists, in whichever tab.
      await queries.invalidateQueries({ predicate: ({ queryKey }) => String(queryKey[0]).startsWith('/rate-limit') });
    } catch (error) {
      setFault(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={block ? 'Block somebody' : 'Add to a list'}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <form onSubmit={(event) => void submit(event)}>
        <Stack gap="sm">
          {fault !== null && (
            <Alert color="red" title={sentence(fault)}>
              {isProblem(fault) ? fault.remedy : undefined}
            </Alert>
          )}
          {!block && (
            <Select
              label="List"
              data={EFFECTS}
              value={list}
              allowDeselect={false}
              onChange={(to) => setList(to ?? 'allow')}
            />
          )}
          <Select label="What" data={KINDS} value={kind} allowDeselect={false} onChange={(to) => setKind(to ?? 'ip')} />
          <TextInput
            name="identifier"
            label="Who"
            defaultValue={identifier}
            placeholder={EXAMPLES[kind]}
            required
            maxLength={256}
            data-autofocus
          />
          {block && (
            <Select
              label="How long"
              data={DURATIONS}
              value={seconds}
              allowDeselect={false}
              onChange={(to) => setSeconds(to ?? '')}
            />
          )}
          <TextInput name="reason" label="Reason" description="Written to the audit trail" required maxLength={500} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button type="submit" color={block || list === 'deny' ? 'red' : undefined} loading={busy}>
              {block ? 'Block' : 'Add'}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
