/** Whether alerts would arrive: a message that says it is a test, to each place they go to. */
import { Button, Group, Modal, Stack } from '@mantine/core';
import { useState } from 'react';
import { api, type Schemas, sentence } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { Message } from '../../ui/Message.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import style from './Lists.module.css';

type Trial = Schemas['SinkTrialModel'];

export function SinksDialog({ opened, close }: { opened: boolean; close: () => void }) {
  const sinks = useGet('/alert-sinks');
  const [tried, setTried] = useState<readonly Trial[]>([]);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function test(): Promise<void> {
    setBusy(true);
    setFault(null);
    setTried([]);
    try {
      const answer = await sent<Schemas['SinkTrials']>(
        api.POST('/api/admin/enterprise/alert-sinks/test', { body: {} }),
      );
      setTried(answer.items);
    } catch (error) {
      setFault(sentence(error));
    } finally {
      setBusy(false);
    }
  }
  return (
    <Modal opened={opened} onClose={close} title="Where alerts go" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Stack gap="sm">
        {fault && <Message title="Nothing was tried" text={fault} />}
        {sinks.error && <Message title="They cannot be read" text={sentence(sinks.error)} />}
        <p className="unseen" role="status">
          {tried.map((one) => `${one.name}: ${one.taken ? 'taken' : one.error}`).join('. ')}
        </p>
        <ul className={style.list} aria-label="Where alerts go">
          {(sinks.data?.items ?? []).map((sink) => (
            <Sink key={sink.name} sink={sink} trial={tried.find((one) => one.name === sink.name)} />
          ))}
        </ul>
        <p className="faint" style={{ margin: 0 }}>
          Places are set with CUSTODES_ALERT_URLS. A test says that it is one; it is in the audit trail.
        </p>
        <Group justify="flex-end" gap="xs">
          <Button loading={busy} onClick={() => void test()}>
            Send a test to each
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

function Sink({ sink, trial }: { sink: Schemas['SinkModel']; trial: Trial | undefined }) {
  return (
    <li className={style.item}>
      <div className={style.text}>
        <span className="mono">{sink.name}</span>
        <span className="faint">
          {trial?.error || (sink.disabled_reason && `switched off: ${sink.disabled_reason}`)}
        </span>
      </div>
      {trial && (
        <StatusBadge
          state={trial.taken ? 'taken' : 'failed'}
          tone={trial.taken ? 'good' : 'bad'}
          label={trial.taken ? `taken in ${Math.round(trial.duration_ms)} ms` : 'not taken'}
        />
      )}
    </li>
  );
}
