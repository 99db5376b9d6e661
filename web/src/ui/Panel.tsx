/** A panel: a title, what it shows, and what it says when there is nothing to show, when that failed, or when it is old. */
import { Button, Skeleton } from '@mantine/core';
import { createContext, type ReactNode, useId, useState } from 'react';
import { sentence } from '../api/client.ts';
import { clock } from '../time/format.ts';
import { useView } from '../view/view.ts';
import { IconAlertTriangle, IconInbox } from './icons.ts';
import { Message } from './Message.tsx';
import style from './Panel.module.css';

/** What a panel needs to know of a query of TanStack Query. */
export interface Asked {
  isPending: boolean;
  isError: boolean;
  error: unknown;
  dataUpdatedAt: number;
  data?: unknown;
  refetch: () => unknown;
}

/** Where a table that fills a panel puts its count and its export: beside the title. */
export const BesideTitle = createContext<HTMLElement | null>(null);

interface PanelProps {
  title: string;
  /** One sentence: what the figures mean. */
  note?: ReactNode;
  /** Beside the title: links, switches. */
  actions?: ReactNode;
  /** The queries that it shows; it waits for all of them. */
  of?: Asked | Asked[];
  /** Whether the answer holds nothing. */
  empty?: boolean;
  /** Said when it holds nothing; best with the lines to paste (`Snippet`). */
  whenEmpty?: ReactNode;
  /** Height of the skeleton, pixels. */
  height?: number;
  /** Takes the room to the edges: tables. */
  flush?: boolean;
  children: ReactNode;
}

export function Panel({ title, note, actions, of = [], empty, whenEmpty, height = 220, flush, children }: PanelProps) {
  const id = useId();
  const [beside, setBeside] = useState<HTMLElement | null>(null);
  const asked = Array.isArray(of) ? of : [of];
  const failed = asked.find((one) => one.isError);
  const known = asked.every((one) => one.data !== undefined);
  const pending = asked.some((one) => one.isPending);
  return (
    <section className={style.panel} data-panel aria-labelledby={id} aria-busy={pending}>
      <header className={style.head}>
        <h2 id={id} className={style.title}>
          {title}
        </h2>
        {note && <p className={style.note}>{note}</p>}
        {(actions || flush) && (
          <div className={style.actions}>
            {actions}
            {flush && <div ref={setBeside} className={style.beside} />}
          </div>
        )}
      </header>
      {/* That the server does not answer is said once, over the page. */}
      {failed && known && !(failed.error instanceof TypeError) && <Stale asked={failed} />}
      <div className={flush ? style.flush : style.body}>
        {failed && !known ? (
          <Message tone="bad" title="This could not be loaded" text={sentence(failed.error)}>
            <Button size="xs" variant="light" onClick={() => failed.refetch()}>
              Try again
            </Button>
          </Message>
        ) : pending && !known ? (
          <div className={flush ? style.waiting : undefined}>
            <Skeleton height={height} radius="sm" />
          </div>
        ) : empty ? (
          (whenEmpty ?? <Message title="Nothing in this stretch of time" icon={<IconInbox size={28} />} />)
        ) : (
          <BesideTitle value={beside}>{children}</BesideTitle>
        )}
      </div>
    </section>
  );
}

function Stale({ asked }: { asked: Asked }) {
  const { zone, now } = useView();
  return (
    <p className={style.stale} role="status">
      <IconAlertTriangle size={15} aria-hidden="true" />
      As of {clock(asked.dataUpdatedAt, zone, now)}: {sentence(asked.error)}
      <button type="button" onClick={() => asked.refetch()}>
        Try again
      </button>
    </p>
  );
}
