/** One verdict about all that the list shows and beyond: counted first, then done in one step with one audit entry. */
import { Alert, Button, Group, Modal, Select, Stack, Textarea, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';
import { api, type Schemas, sentence } from '../../api/client.ts';
import { sent } from '../../api/hooks.ts';
import { count } from '../../time/format.ts';
import { useView } from '../../view/view.ts';
import { KEYS, type ReviewState, STATES } from './model.ts';

type Done = Schemas['ReviewedManyModel'];

interface ReviewManyProps {
  /** Filters of the list. */
  query: Record<string, unknown>;
  /** Whether the list is that of the time range. */
  timed: boolean;
  disabled: boolean;
}

const GOALS: readonly ReviewState[] = ['benign', 'false_positive', 'true_positive', 'acknowledged', 'open'];

export function ReviewMany({ query, timed, disabled }: ReviewManyProps) {
  const queries = useQueryClient();
  const view = useView();
  const [opened, setOpened] = useState<{ since?: string; until: string } | null>(null);
  const [state, setState] = useState<ReviewState>('benign');
  const [assignee, setAssignee] = useState('');
  const [note, setNote] = useState('');
  const [counted, setCounted] = useState<Done | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const asked = JSON.stringify(query);

  useEffect(() => {
    if (!opened) return;
    let current = true;
    setCounted(null);
    review(JSON.parse(asked), opened, { state, dry_run: true }).then(
      (done) => current && setCounted(done),
      (error: unknown) => current && setFault(sentence(error)),
    );
    return () => {
      current = false;
    };
  }, [opened, state, asked]);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (!opened) return;
    setBusy(true);
    setFault(null);
    try {
      const body = {
        state,
        dry_run: false,
        note: note.trim(),
        ...(assignee.trim() ? { assignee: assignee.trim() } : {}),
      };
      const done = await review(query, opened, body);
      setOpened(null);
      setNote('');
      notifications.show({ message: `${count(done.moved)} reviews: ${STATES[state].label.toLowerCase()}` });
      for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
    } catch (error) {
      setFault(sentence(error));
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <Button
        size="compact-xs"
        variant="default"
        disabled={disabled}
        onClick={() => {
          setFault(null);
          setOpened(timed ? view.when : { until: new Date(view.now + 1_000).toISOString() });
        }}
      >
        Review all of these
      </Button>
      <Modal
        opened={opened !== null}
        onClose={() => setOpened(null)}
        title="Review all of these"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <form onSubmit={(event) => void submit(event)}>
          <Stack gap="sm">
            {fault && <Alert color="red">{fault}</Alert>}
            <Select
              label="They are"
              data={GOALS.map((value) => ({ value, label: STATES[value].label }))}
              value={state}
              allowDeselect={false}
              onChange={(value) => setState((value ?? 'benign') as ReviewState)}
            />
            {state === 'acknowledged' && (
              <TextInput
                label="Looked at by"
                maxLength={200}
                value={assignee}
                onChange={(event) => setAssignee(event.currentTarget.value)}
              />
            )}
            <Textarea
              label="Note"
              description="Kept with each verdict, and in the audit trail"
              required
              maxLength={4_000}
              autosize
              minRows={2}
              value={note}
              data-autofocus
              onChange={(event) => setNote(event.currentTarget.value)}
            />
            <p role="status">
              {counted === null ? (
                'Counting…'
              ) : (
                <>
                  <b>{count(counted.moved)}</b> of {count(counted.matched)} reviews will be moved
                  {counted.skipped > 0 &&
                    `; ${count(counted.skipped)} stay as they are: this step is not possible for them`}
                  {counted.more && '. There are more than one step moves: repeat it for the rest'}.
                </>
              )}
            </p>
            <Group justify="flex-end" gap="xs">
              <Button variant="default" onClick={() => setOpened(null)}>
                Cancel
              </Button>
              <Button type="submit" loading={busy} disabled={!counted?.moved}>
                {counted ? `Review ${count(counted.moved)}` : 'Review'}
              </Button>
            </Group>
          </Stack>
        </form>
      </Modal>
    </>
  );
}

function review(
  query: object,
  when: object,
  body: { state: ReviewState; dry_run: boolean; note?: string; assignee?: string },
) {
  const params = { query: { ...query, ...when } };
  return sent<Done>(api.POST('/api/admin/enterprise/audit-logs/review', { params, body: body as never }));
}
