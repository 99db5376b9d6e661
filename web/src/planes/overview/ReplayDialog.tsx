/** Try again what was given up in the chosen stretch of time, after a count. */
import { Alert, Button, Group, Modal, Stack, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { api, sentence } from '../../api/client.ts';
import { sent } from '../../api/hooks.ts';
import { count } from '../../time/format.ts';
import { useView } from '../../view/view.ts';

/** Events that one replay takes; the rest is replayed on the webhooks tab. */
const REPLAYED = 200;

type Replayed = { event_ids: string[] };

export function ReplayDialog({ opened, close }: { opened: boolean; close: () => void }) {
  const { when } = useView();
  const queries = useQueryClient();
  const [chosen, setChosen] = useState(when);
  const [found, setFound] = useState<number | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [why, setWhy] = useState('');

  // What is counted is what is replayed: the stretch of time of when the dialog was opened.
  const latest = useRef(when);
  latest.current = when;
  useEffect(() => {
    if (!opened) return;
    let current = true;
    setChosen(latest.current);
    setFound(null);
    setFault(null);
    replayed(latest.current, true).then(
      (dry) => current && setFound(dry.event_ids.length),
      (error: unknown) => current && setFault(sentence(error)),
    );
    return () => {
      current = false;
    };
  }, [opened]);

  async function replay(): Promise<void> {
    setBusy(true);
    try {
      const done = await replayed(chosen, false, why);
      close();
      notifications.show({ message: `${count(done.event_ids.length)} webhooks are tried again` });
      await queries.invalidateQueries({ queryKey: ['/webhook-analytics'] });
    } catch (error) {
      setFault(sentence(error));
    } finally {
      setBusy(false);
    }
  }
  // Known to be none: then there is nothing to give a reason for.
  const nothing = found === 0;
  return (
    <Modal opened={opened} onClose={close} title="Replay failed webhooks" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Stack gap="sm">
        {fault && <Alert color="red">{fault}</Alert>}
        <p style={{ margin: 0 }}>
          {found === null
            ? 'Counting …'
            : found === 0
              ? 'No webhook of this stretch of time was given up.'
              : `${found === REPLAYED ? 'The newest ' : ''}${count(found)} webhooks of this stretch of time were given up. Their handlers run again, once for each.`}
        </p>
        {!nothing && (
          <TextInput
            label="Reason"
            description="Written to the audit trail"
            maxLength={500}
            value={why}
            onChange={(event) => setWhy(event.currentTarget.value)}
          />
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={close}>
            {nothing ? 'Close' : 'Cancel'}
          </Button>
          {!nothing && (
            <Button disabled={!found} loading={busy} onClick={() => void replay()}>
              Replay
            </Button>
          )}
        </Group>
      </Stack>
    </Modal>
  );
}

function replayed(when: { since: string; until: string }, dry: boolean, reason = ''): Promise<Replayed> {
  const query = { status: ['dead' as const], ...when };
  const body = { limit: REPLAYED, dry_run: dry, reason };
  return sent<Replayed>(api.POST('/api/admin/enterprise/webhook-events/replay', { params: { query }, body }));
}
