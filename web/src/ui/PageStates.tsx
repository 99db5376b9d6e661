/** A page that is on its way, that failed, or that does not exist. */
import { Button, Skeleton } from '@mantine/core';
import { type ErrorComponentProps, Link } from '@tanstack/react-router';
import { sentence } from '../api/client.ts';
import { Message } from './Message.tsx';
import style from './PageStates.module.css';

export function PageWaiting() {
  return (
    <div className={style.waiting} role="status" aria-label="Loading">
      <Skeleton height={90} />
      <Skeleton height={260} />
      <Skeleton height={260} />
    </div>
  );
}

/** What browsers and Vite say when a part of the program did not come. */
const NOT_LOADED = /preload|dynamically imported|module script/i;

export function PageFailed({ error, reset }: ErrorComponentProps) {
  // What did not come once a browser does not ask for again: only the whole page does.
  const missing = error instanceof Error && NOT_LOADED.test(error.message);
  return (
    <Message
      title="This page could not be shown"
      text={missing ? 'The server cannot be reached.' : sentence(error)}
      tone="bad"
    >
      <Button size="xs" variant="light" onClick={missing ? () => window.location.reload() : reset}>
        Try again
      </Button>
      <Button size="xs" variant="subtle" onClick={() => window.location.reload()}>
        Reload
      </Button>
    </Message>
  );
}

export function PageUnknown() {
  return (
    <Message title="There is no such page" text="The link may be of another version, or mistyped.">
      <Button size="xs" variant="light" renderRoot={(props) => <Link to="/" {...props} />}>
        Overview
      </Button>
    </Message>
  );
}
