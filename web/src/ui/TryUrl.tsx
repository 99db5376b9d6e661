/** Send what is shown to a URL of one's choosing, once, and see what it makes of it. */
import { Button, Modal, Stack, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import type { Schemas } from '../api/client.ts';
import { type Operation, useMay } from '../api/may.ts';
import { duration } from '../time/format.ts';
import { AskForm } from './AskForm.tsx';
import { Snippet } from './Snippet.tsx';
import { StatusBadge } from './StatusBadge.tsx';

type Trial = Schemas['TrialModel'];

interface TryUrlProps {
  /** What it calls: it is not offered to those who may not. */
  operation: Operation;
  /** What goes along and what does not. */
  children: ReactNode;
  /** Sends it; throws the server's problem. */
  ask: (url: string) => Promise<Trial>;
}

export function TryUrl({ operation, children, ask }: TryUrlProps) {
  const may = useMay()(operation);
  const [opened, setOpened] = useState(false);
  const [url, setUrl] = useState('');
  const [trial, setTrial] = useState<Trial | null>(null);
  if (!may) return null;

  async function submit(): Promise<void> {
    setTrial(null);
    setTrial(await ask(url.trim()));
  }
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setOpened(true)}>
        Try a URL
      </Button>
      <Modal
        opened={opened}
        onClose={() => setOpened(false)}
        title="Send it to a URL, once"
        size="lg"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <Stack gap="md">
          <AskForm label="Send" submit={submit}>
            <div>{children} That it was sent, and where to, is written to the audit trail.</div>
            <TextInput
              label="URL"
              description="Where the endpoints of this install may be: https, and no private address that it does not allow"
              value={url}
              placeholder="https://example.com/webhooks"
              required
              maxLength={2_000}
              data-autofocus
              onChange={(event) => setUrl(event.currentTarget.value)}
            />
          </AskForm>
          {trial && <Result of={trial} />}
        </Stack>
      </Modal>
    </>
  );
}

function Result({ of: trial }: { of: Trial }) {
  const head = trial.answer_headers.map(({ name, value }) => `${name}: ${value}`).join('\n');
  return (
    <section aria-label="What came of it" role="status">
      <Stack gap="xs">
        <div>
          <StatusBadge
            state={trial.succeeded ? 'succeeded' : 'failed'}
            tone={trial.succeeded ? 'good' : 'bad'}
            label={trial.status === null ? 'no answer' : `answered ${trial.status}`}
          />{' '}
          <span className="faint">within {duration(trial.total_ms)}</span>
        </div>
        {trial.status === null && <div>{trial.error}</div>}
        {(head || trial.excerpt) && <Snippet text={[head, trial.excerpt].join('\n\n').trim()} label="Answer" />}
        {trial.secret && (
          <>
            <div className="faint">
              To verify its signature (Standard Webhooks), a secret made for this one request:
            </div>
            <Snippet text={trial.secret} label="Secret of this request" />
          </>
        )}
      </Stack>
    </section>
  );
}
