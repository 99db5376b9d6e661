/** What one does first in an incident. */
import { Alert, Button, Group, Menu, Modal, Stack, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, sentence } from '../../api/client.ts';
import { sent } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { count } from '../../time/format.ts';
import { AccessForm } from '../../ui/AccessForm.tsx';
import { IconDownload, IconRefresh } from '../../ui/icons.ts';
import { May } from '../../ui/May.tsx';
import { useView } from '../../view/view.ts';

export function Actions() {
  return (
    <>
      <AccessForm effect="block" />
      <May operation="inbound_replay_webhook_events">
        <Replay />
      </May>
      <Export />
    </>
  );
}

/** Events that one replay takes; the rest is replayed on the webhooks tab. */
const REPLAYED = 200;

function Replay() {
  const view = useView();
  const queries = useQueryClient();
  const [opened, setOpened] = useState(false);
  const [found, setFound] = useState<number | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [why, setWhy] = useState('');

  function selection(dry: boolean, reason = '') {
    const query = { status: ['dead' as const], ...view.when };
    return { params: { query }, body: { limit: REPLAYED, dry_run: dry, reason } };
  }
  async function ask(): Promise<void> {
    setOpened(true);
    setFound(null);
    setFault(null);
    try {
      const dry = await sent<{ event_ids: string[] }>(
        api.POST('/api/admin/enterprise/webhook-events/replay', selection(true)),
      );
      setFound(dry.event_ids.length);
    } catch (error) {
      setFault(sentence(error));
    }
  }
  async function replay(): Promise<void> {
    setBusy(true);
    try {
      const done = await sent<{ event_ids: string[] }>(
        api.POST('/api/admin/enterprise/webhook-events/replay', selection(false, why)),
      );
      setOpened(false);
      notifications.show({ message: `${count(done.event_ids.length)} webhooks are tried again` });
      await queries.invalidateQueries({ queryKey: ['/webhook-analytics'] });
    } catch (error) {
      setFault(sentence(error));
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <Button
        size="xs"
        variant="default"
        leftSection={<IconRefresh size={15} aria-hidden="true" />}
        onClick={() => void ask()}
      >
        Replay failed webhooks
      </Button>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title="Replay failed webhooks"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <Stack gap="sm">
          {fault && <Alert color="red">{fault}</Alert>}
          <p style={{ margin: 0 }}>
            {found === null
              ? 'Counting …'
              : found === 0
                ? 'No webhook of this stretch of time was given up.'
                : `${found === REPLAYED ? 'The newest ' : ''}${count(found)} webhooks of this stretch of time were given up. Their handlers run again, once for each.`}
          </p>
          <TextInput
            label="Reason"
            description="Written to the audit trail"
            maxLength={500}
            value={why}
            onChange={(event) => setWhy(event.currentTarget.value)}
          />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={() => setOpened(false)}>
              Cancel
            </Button>
            <Button disabled={!found} loading={busy} onClick={() => void replay()}>
              Replay
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

function Export() {
  const view = useView();
  const places = [
    { path: 'api-calls', label: 'API calls', format: 'CSV' },
    { path: 'webhook-events', label: 'Webhooks', format: 'NDJSON' },
    { path: 'audit-logs', label: 'Audit trail', format: 'CSV' },
  ];
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button size="xs" variant="default" leftSection={<IconDownload size={15} aria-hidden="true" />}>
          Export
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>All of this stretch of time</Menu.Label>
        {places.map(({ path, label, format }) => (
          <Menu.Item
            key={path}
            component="a"
            href={`${boot.root}/api/admin/enterprise/${path}/export?${new URLSearchParams({
              ...view.when,
              // Payloads and headers of webhooks do not fit in the cells of a sheet.
              ...(format === 'CSV' ? { format: 'csv' } : {}),
            })}`}
            download
            rightSection={<span className="faint">{format}</span>}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
