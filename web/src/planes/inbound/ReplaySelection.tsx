/** Have everything that the filters mean handled again: counted first, then done in steps that can be stopped. */
import { Alert, Button, Group, Modal, Progress, Stack, Textarea } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { api, type Schemas, sentence } from '../../api/client.ts';
import { get, sent } from '../../api/hooks.ts';
import { count } from '../../time/format.ts';
import { IconRefresh } from '../../ui/icons.ts';
import { useView } from '../../view/view.ts';
import { STATUS_LABELS } from './model.ts';
import type { EventQuery } from './search.ts';

/** Events of one step: one transaction and one audit entry each. */
const STEP = 200;

type Replayed = Schemas['ReplayedModel'];

interface Selection {
  /** As it was when it was counted: what arrives later is not among it. */
  query: EventQuery;
  total: number;
  complete: boolean;
  states: readonly { value: string; count: number }[];
}

interface Run {
  done: number;
  skipped: number;
  /** Where to go on; null when all is done. */
  cursor: string | null;
}

async function step(query: EventQuery, body: Schemas['ReplaySelectionBody']): Promise<Replayed> {
  return sent<Replayed>(api.POST('/api/admin/enterprise/webhook-events/replay', { params: { query }, body }));
}

export function ReplaySelection({ query }: { query: EventQuery }) {
  const view = useView();
  const queries = useQueryClient();
  const [opened, setOpened] = useState(false);
  const [selection, setSelection] = useState<Selection | null>(null);
  const [run, setRun] = useState<Run | null>(null);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [why, setWhy] = useState('');
  const stopped = useRef(false);

  async function ask(): Promise<void> {
    setOpened(true);
    setSelection(null);
    setRun(null);
    setFault(null);
    const chosen = { ...query, ...view.when };
    try {
      const [dry, facets] = await Promise.all([
        step(chosen, { dry_run: true, limit: 1, reason: '' }),
        get('/webhook-events/facets', chosen),
      ]);
      const wanted = query.status ?? facets.status.map((one) => one.value);
      const states = facets.status.filter((one) => (wanted as string[]).includes(one.value));
      setSelection({ query: chosen, total: dry.total ?? 0, complete: facets.complete, states });
    } catch (error) {
      setFault(sentence(error));
    }
  }
  async function go(): Promise<void> {
    if (!selection) return;
    setBusy(true);
    setFault(null);
    stopped.current = false;
    let at: Run = run ?? { done: 0, skipped: 0, cursor: '' };
    try {
      while (at.cursor !== null && !stopped.current) {
        const body = { dry_run: false, limit: STEP, reason: why.trim(), cursor: at.cursor || undefined };
        const made = await step(selection.query, body);
        at = {
          done: at.done + made.event_ids.length,
          skipped: at.skipped + made.skipped.length,
          cursor: made.next_cursor,
        };
        setRun(at);
      }
    } catch (error) {
      setFault(sentence(error));
    } finally {
      setBusy(false);
      for (const key of [['/webhook-events', 'rows'], ['/webhook-events/facets'], ['/webhook-health']]) {
        void queries.invalidateQueries({ queryKey: key });
      }
    }
  }
  function close(): void {
    stopped.current = true;
    setOpened(false);
  }
  const finished = run !== null && run.cursor === null;
  // Done, or nothing to do: there is nothing left to give a reason for.
  const over = finished || selection?.total === 0;
  return (
    <>
      <Button
        size="compact-xs"
        variant="default"
        leftSection={<IconRefresh size={14} aria-hidden="true" />}
        onClick={() => void ask()}
      >
        Replay these
      </Button>
      <Modal
        opened={opened}
        onClose={close}
        title="Replay the events of this selection"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <Stack gap="sm">
          {fault && <Alert color="red">{fault}</Alert>}
          {!selection && !fault && <p style={{ margin: 0 }}>Counting …</p>}
          {selection && <Counted selection={selection} />}
          {run && selection && (
            <div role="status">
              <Progress
                aria-label="Events replayed"
                value={finished ? 100 : (100 * (run.done + run.skipped)) / Math.max(1, selection.total)}
              />
              {finished ? 'Done: ' : ''}
              {count(run.done)} are handled again
              {run.skipped > 0 && `, ${count(run.skipped)} were left alone because a worker is at them`}.
            </div>
          )}
          {!over && (
            <Textarea
              label="Reason"
              description="Written to the audit trail"
              value={why}
              required
              maxLength={500}
              autosize
              minRows={2}
              data-autofocus
              onChange={(event) => setWhy(event.currentTarget.value)}
            />
          )}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>
              {over ? 'Close' : 'Cancel'}
            </Button>
            {busy ? (
              <Button
                variant="default"
                onClick={() => {
                  stopped.current = true;
                }}
              >
                Stop
              </Button>
            ) : (
              !over && (
                <Button disabled={!selection?.total || why.trim() === ''} onClick={() => void go()}>
                  {run ? 'Go on' : `Replay ${selection ? count(selection.total) : ''}`}
                </Button>
              )
            )}
          </Group>
        </Stack>
      </Modal>
    </>
  );
}

function Counted({ selection }: { selection: Selection }) {
  const { total, complete, states } = selection;
  if (total === 0) return <p style={{ margin: 0 }}>No event fits the filters in this stretch of time.</p>;
  const succeeded = states.find((one) => one.value === 'succeeded');
  return (
    <>
      <p style={{ margin: 0 }}>
        <b>
          {count(total)}
          {complete ? '' : ' or more'} {total === 1 ? 'event' : 'events'}
        </b>
        : {states.map((one) => `${count(one.count)} ${STATUS_LABELS[one.value] ?? one.value}`).join(', ')}. All handlers
        that want them are called again, with the same bytes and ids. What arrives from now on is not among them.
      </p>
      {succeeded && (
        <Alert color="yellow">
          {count(succeeded.count)} of them have succeeded before: handlers that are not idempotent do their work twice.
          Choose a status to leave them out.
        </Alert>
      )}
    </>
  );
}
