/** A part of the page: a title, and what it says while it waits, when it failed, or when it is old. */
import { Button, Skeleton } from '@mantine/core';
import { type ReactNode, useId } from 'react';
import { sentence } from '../api/problem.ts';
import { clock } from '../time/format.ts';
import { useNow } from '../time/now.ts';
import { IconAlertTriangle } from '../ui/icons.ts';
import { Message } from '../ui/Message.tsx';
import panel from '../ui/Panel.module.css';
import type { Asked } from '../ui/Panel.tsx';
import { useZone } from './zone.ts';

interface CardProps {
  title: ReactNode;
  note?: ReactNode;
  actions?: ReactNode;
  of?: Asked;
  flush?: boolean;
  children: ReactNode;
}

export function Card({ title, note, actions, of, flush, children }: CardProps) {
  const id = useId();
  const now = useNow();
  const zone = useZone();
  const known = !of || of.data !== undefined;
  return (
    <section className={panel.panel} aria-labelledby={id} aria-busy={!known && !of?.isError}>
      <header className={panel.head}>
        <h2 id={id} className={panel.title}>
          {title}
        </h2>
        {note && <p className={panel.note}>{note}</p>}
        {actions && <div className={panel.actions}>{actions}</div>}
      </header>
      {of?.isError && known && (
        <p className={panel.stale} role="status">
          <IconAlertTriangle size={15} aria-hidden="true" />
          As of {clock(of.dataUpdatedAt, zone, now)}: {sentence(of.error)}
          <button type="button" onClick={() => of.refetch()}>
            Try again
          </button>
        </p>
      )}
      <div className={flush ? panel.flush : panel.body}>
        {known ? (
          children
        ) : of?.isError ? (
          <Message tone="bad" title="This could not be loaded" text={sentence(of.error)}>
            <Button size="xs" variant="light" onClick={() => of.refetch()}>
              Try again
            </Button>
          </Message>
        ) : (
          <Skeleton height={140} radius="sm" />
        )}
      </div>
    </section>
  );
}
