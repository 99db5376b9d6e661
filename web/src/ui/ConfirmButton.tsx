/** A button whose action is asked about first: what it will do, and why one does it. The reason goes to the audit trail. */
import { Alert, Button, type ButtonProps, Group, Modal, Stack, Textarea } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { type FormEvent, type ReactNode, useEffect, useId, useState } from 'react';
import { sentence } from '../api/problem.ts';
import { hold, release } from '../time/now.ts';

export interface ConfirmButtonProps {
  /** On the button and in the title. */
  label: string;
  /** What will happen, with the figures of a dry run where there is one. */
  children: ReactNode;
  /** `required`: without a reason it is not done. */
  reason?: 'required' | 'optional' | 'none';
  danger?: boolean;
  /** Does it; what it throws is shown and the dialog stays. */
  onConfirm: (reason: string) => Promise<unknown>;
  /** Said when it is done. */
  done: string;
  button?: ButtonProps;
  disabled?: boolean;
}

export function ConfirmButton({
  label,
  children,
  reason = 'required',
  danger,
  onConfirm,
  done,
  button,
  disabled,
}: ConfirmButtonProps) {
  // Not there until it is first wanted: in each row of a table there may be one. It opens once it is there: only then
  // does it note where the focus goes back to.
  const [there, setThere] = useState(false);
  const [opened, setOpened] = useState(false);
  const [why, setWhy] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);

  useEffect(() => setOpened(there), [there]);

  // The list whose row it may be in stands still meanwhile: with the row, the dialog and what is written would go.
  const asking = useId();
  useEffect(() => {
    if (!opened) return;
    hold(asking);
    return () => release(asking);
  }, [asking, opened]);

  function close(): void {
    setOpened(false);
    setFault(null);
    setWhy('');
  }
  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    try {
      await onConfirm(why.trim());
      close();
      notifications.show({ message: done });
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
        data-danger={danger || undefined}
        {...button}
        disabled={disabled}
        onClick={() => (there ? setOpened(true) : setThere(true))}
      >
        {label}
      </Button>
      {there && (
        <Modal opened={opened} onClose={close} title={label} closeButtonProps={{ 'aria-label': 'Close' }}>
          <form onSubmit={(event) => void submit(event)}>
            <Stack gap="sm">
              {fault && <Alert color="red">{fault}</Alert>}
              <div>{children}</div>
              {reason !== 'none' && (
                <Textarea
                  label="Reason"
                  description="Written to the audit trail"
                  value={why}
                  required={reason === 'required'}
                  maxLength={500}
                  autosize
                  minRows={2}
                  data-autofocus
                  onChange={(event) => setWhy(event.currentTarget.value)}
                />
              )}
              <Group justify="flex-end" gap="xs">
                <Button variant="default" onClick={close}>
                  Cancel
                </Button>
                <Button type="submit" color={danger ? 'red' : undefined} loading={busy}>
                  {label}
                </Button>
              </Group>
            </Stack>
          </form>
        </Modal>
      )}
    </>
  );
}
