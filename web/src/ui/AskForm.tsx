/** A form that asks the server for something: its words when it refuses, and no second time while it is at it. */
import { Button, Group, Stack } from '@mantine/core';
import { type FormEvent, type ReactNode, useState } from 'react';
import { Fault } from './Fault.tsx';

interface AskFormProps {
  /** On the button that asks. */
  label: string;
  /** Asks; throws the server's problem. */
  submit: () => Promise<void>;
  /** Closes the form, once it was granted or given up; without it there is nothing to cancel. */
  onClose?: () => void;
  disabled?: boolean;
  children: ReactNode;
}

export function AskForm({ label, submit, onClose, disabled, children }: AskFormProps) {
  const [fault, setFault] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  async function ask(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setFault(null);
    try {
      await submit();
      onClose?.();
    } catch (error) {
      setFault(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <form onSubmit={(event) => void ask(event)}>
      <Stack gap="sm">
        {fault !== null && <Fault error={fault} />}
        {children}
        <Group justify="flex-end" gap="xs">
          {onClose && (
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
          )}
          <Button type="submit" loading={busy} disabled={disabled}>
            {label}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
