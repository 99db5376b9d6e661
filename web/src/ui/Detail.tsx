/** One thing in full: a drawer over the list, and the same as a page of its own under its own address. */
import { Button, Drawer } from '@mantine/core';
import { useRouter, useSearch } from '@tanstack/react-router';
import type { MouseEvent, ReactNode } from 'react';
import { boot } from '../boot.ts';
import { isPlainClick } from '../view/links.ts';
import { stringifySearch } from '../view/search.ts';
import { useSetSearch } from '../view/view.ts';
import style from './Detail.module.css';
import { IconExternalLink } from './icons.ts';

interface DetailDrawerProps {
  title: ReactNode;
  /** Address of the page that shows the same, without a query: that of the view goes along. */
  href: string;
  opened: boolean;
  onClose: () => void;
  children: ReactNode;
}

export function DetailDrawer({ title, href, opened, onClose, children }: DetailDrawerProps) {
  const search = useSearch({ strict: false });
  const { history } = useRouter();
  const page = `${href}${stringifySearch({ ...search, open: undefined, who: undefined })}`;

  /** A plain click stays in this page's program; a new tab or window is the browser's own affair. */
  function follow(event: MouseEvent): void {
    if (!isPlainClick(event)) return;
    event.preventDefault();
    history.push(page);
  }
  return (
    <Drawer.Root opened={opened} onClose={onClose} position="right" size="min(760px, 100%)">
      <Drawer.Overlay backgroundOpacity={0.25} />
      <Drawer.Content>
        <Drawer.Header className={style.bar}>
          <Drawer.Title className={style.title}>{title}</Drawer.Title>
          <Button
            size="xs"
            variant="default"
            component="a"
            href={page}
            onClick={follow}
            className={style.page}
            leftSection={<IconExternalLink size={14} aria-hidden="true" />}
          >
            Open as a page
          </Button>
          <Drawer.CloseButton aria-label="Close" />
        </Drawer.Header>
        <Drawer.Body className={style.body}>{children}</Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}

interface OpenedProps {
  title: ReactNode;
  /** Path below the dashboard that the pages of such things have in common: `/webhooks`. */
  below: string;
  /** What else of the URL is about the thing that is open: closed with it. */
  also?: readonly string[];
  children: (id: string) => ReactNode;
}

/** The drawer of whichever row the URL says is open. */
export function Opened({ title, below, also = [], children }: OpenedProps) {
  const { open }: { open?: string } = useSearch({ strict: false });
  const set = useSetSearch();
  return (
    <DetailDrawer
      title={title}
      href={`${boot.base}${below}/${encodeURIComponent(open ?? '')}`}
      opened={open !== undefined}
      onClose={() => set(Object.fromEntries(['open', ...also].map((name) => [name, undefined])))}
    >
      {open && children(open)}
    </DetailDrawer>
  );
}

/** A part of a detail with its heading. */
export function Section({ title, actions, children }: { title: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <section className={style.section}>
      <header className={style.head}>
        <h3>{title}</h3>
        {actions}
      </header>
      {children}
    </section>
  );
}
