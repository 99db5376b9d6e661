/** Asks to sign in again over the page when the session has ended; what one was doing goes on after it. */
import { Alert, Button, getDefaultZIndex, Modal, PasswordInput, Stack, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useRef, useState } from 'react';
import { sentence } from '../api/client.ts';
import { whoIAm } from '../api/may.ts';
import { onSessionEnd, signIn } from '../api/session.ts';
import { boot, here } from '../boot.ts';

/** To where one signs in, or chooses a password, and back to this view, which is all in the URL. */
function elsewhere(place: string): string {
  return `${boot.base}${place}?next=${encodeURIComponent(here())}`;
}

/** How Mantine's other dialogs are told that a key is none of theirs. */
const DEAF = { 'data-mantine-stop-propagation': 'true' };

export function LoginDialog() {
  const [opened, setOpened] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const goOn = useRef<() => void>(undefined);
  const form = useRef<HTMLFormElement>(null);
  const queries = useQueryClient();

  useEffect(() => {
    onSessionEnd(() => {
      setOpened(true);
      return new Promise((resolve) => {
        goOn.current = resolve;
      });
    });
  }, []);

  // A dialog that opens beneath takes the focus for itself: it is brought back.
  useEffect(() => {
    if (!opened) return;
    function keep({ target }: FocusEvent): void {
      const dialog = form.current?.closest('[role=dialog]');
      if (!dialog || !(target instanceof Node) || dialog.contains(target)) return;
      form.current?.querySelector<HTMLElement>('[data-autofocus]')?.focus();
    }
    document.addEventListener('focusin', keep);
    return () => document.removeEventListener('focusin', keep);
  }, [opened]);

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const typed = new FormData(event.currentTarget);
    setBusy(true);
    try {
      const who = await signIn(String(typed.get('username')), String(typed.get('password')));
      if (who.must_change_password) window.location.assign(elsewhere('/password'));
      // Somebody else sees nothing of what was loaded for the one before: the page begins anew, at the same view.
      const before = queries.getQueryData(whoIAm.queryKey);
      if (before && before.profile_id !== who.profile_id) window.location.reload();
      setFault(null);
      setOpened(false);
      goOn.current?.();
    } catch (error) {
      setFault(sentence(error));
    } finally {
      setBusy(false);
    }
  }
  return (
    <Modal
      opened={opened}
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      title="Your session has ended"
      centered
      // Above every dialog and menu, also one that opens while this one asks.
      zIndex={getDefaultZIndex('overlay')}
      overlayProps={{ blur: 3 }}
    >
      {/* Escape is not heard by dialogs beneath: what was typed there stays. */}
      <form ref={form} onSubmit={(event) => void submit(event)}>
        <Stack gap="sm">
          <p style={{ margin: 0 }} className="faint">
            Sign in and go on where you were.
          </p>
          {boot.elsewhere && (
            <Button component="a" href={elsewhere(boot.elsewhere.place)}>
              Sign in with {boot.elsewhere.name}
            </Button>
          )}
          {fault && <Alert color="red">{fault}</Alert>}
          <TextInput name="username" label="User name" autoComplete="username" required data-autofocus {...DEAF} />
          <PasswordInput name="password" label="Password" autoComplete="current-password" required {...DEAF} />
          <Button type="submit" variant={boot.elsewhere ? 'default' : 'filled'} loading={busy} {...DEAF}>
            Sign in
          </Button>
        </Stack>
      </form>
    </Modal>
  );
}
