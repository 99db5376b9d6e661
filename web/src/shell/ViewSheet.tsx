/** All views that one sees, by tab; those that only this browser kept; and the form that keeps the view that is shown. */
import { ActionIcon, Button, Group, Skeleton, TextInput } from '@mantine/core';
import { useRouter } from '@tanstack/react-router';
import { type FormEvent, type MouseEvent, type RefObject, useLayoutEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import { useMay } from '../api/may.ts';
import { sentence } from '../api/problem.ts';
import { boot, here } from '../boot.ts';
import { Fault } from '../ui/Fault.tsx';
import { IconX } from '../ui/icons.ts';
import { Message } from '../ui/Message.tsx';
import { forgetHere, keptHere } from '../view/kept.ts';
import { isPlainClick } from '../view/links.ts';
import { freeName, LONGEST_NAME, type SavedView } from '../view/saved.ts';
import { useSavedViews, useViewChanges } from '../view/useSavedViews.ts';
import { TABS } from './tabs.ts';
import { ViewRow } from './ViewRow.tsx';
import style from './Views.module.css';

export function ViewSheet({ onFollow }: { onFollow: () => void }) {
  const asked = useSavedViews();
  const may = useMay();
  const { history } = useRouter();
  const name = useRef<HTMLInputElement>(null);
  const [said, setSaid] = useState('');
  const list = useRef<HTMLDivElement>(null);
  const acted = useRef<string | undefined>(undefined);
  const views = asked.data?.items;

  // A view that was renamed, replaced or deleted is elsewhere in the list, or gone, and with it what had the focus.
  useLayoutEffect(() => {
    if (acted.current === undefined || document.activeElement !== document.body) return;
    const row = list.current?.querySelector<HTMLElement>(`[data-view="${CSS.escape(acted.current)}"] button`);
    (row ?? name.current)?.focus();
  });
  const mine = (views ?? []).filter((view) => view.mine);

  function follow(event: MouseEvent, place: string): void {
    if (!isPlainClick(event)) return;
    event.preventDefault();
    onFollow();
    history.push(`${boot.base}${place}`);
  }
  return (
    <>
      {/* Here, and not where it was done: what was there may be gone. */}
      <p className={style.said} role="status">
        {said}
      </p>
      {asked.isError && (
        <Message tone="bad" title="The views could not be loaded" text={sentence(asked.error)}>
          <Button size="xs" variant="light" onClick={() => void asked.refetch()}>
            Try again
          </Button>
        </Message>
      )}
      {asked.isPending && <Skeleton height={84} radius="sm" mb="sm" />}
      {views?.length === 0 && (
        <Message
          title="No view is kept yet"
          text="Choose a time, filter, sort; then keep what is shown under a name, and come back to it from anywhere."
        />
      )}
      {views && views.length > 0 && (
        // biome-ignore lint/a11y/noStaticElementInteractions: it only notes which view has the focus
        <div
          className={style.list}
          ref={list}
          onFocus={({ target }) => {
            acted.current = target.closest<HTMLElement>('[data-view]')?.dataset.view;
          }}
          onBlur={({ relatedTarget }) => {
            if (relatedTarget) acted.current = undefined;
          }}
        >
          {TABS.map(({ to, label }) => {
            const of = views.filter(({ tab }) => tab === (to.slice(1) || 'overview'));
            return of.length === 0 ? null : (
              <section key={to} aria-label={label}>
                <h3 className={style.tab}>{label}</h3>
                <ul className={style.views}>
                  {of.sort(byName).map((view) => (
                    <ViewRow
                      key={view.id}
                      view={view}
                      onFollow={(event) => follow(event, view.place)}
                      onDone={setSaid}
                    />
                  ))}
                </ul>
              </section>
            );
          })}
        </div>
      )}
      {may('identity_create_saved_view') && (
        <>
          {views && <KeptHere mine={mine} onFollow={follow} onDone={setSaid} onGone={() => name.current?.focus()} />}
          <KeepForm mine={mine} input={name} onDone={setSaid} />
        </>
      )}
    </>
  );
}

function byName(one: SavedView, other: SavedView): number {
  return one.name.localeCompare(other.name);
}

/** Keeps the view that is shown; one of the same name gives way. */
function KeepForm({
  mine,
  input,
  onDone,
}: {
  mine: readonly SavedView[];
  input: RefObject<HTMLInputElement | null>;
  onDone: (said: string) => void;
}) {
  const [name, setName] = useState('');
  const [fault, setFault] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const { keep, change } = useViewChanges();
  const before = mine.find((view) => view.name === name.trim());

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (name.trim() === '') return;
    setBusy(true);
    setFault(null);
    try {
      await (before ? change(before.id, { place: here() }) : keep(name.trim(), here()));
      onDone(before ? `${before.name} is what is shown now` : `Kept as ${name.trim()}`);
      setName('');
    } catch (error) {
      setFault(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <form onSubmit={(event) => void submit(event)}>
      {fault !== null && <Fault error={fault} />}
      <Group gap="xs" align="end" wrap="nowrap">
        <TextInput
          ref={input}
          className={style.name}
          label="Keep this view as"
          description={
            before ? 'The view of this name gives way to what is shown' : 'Only you see it until you share it'
          }
          size="xs"
          required
          maxLength={LONGEST_NAME}
          value={name}
          data-autofocus
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Button type="submit" size="xs" loading={busy}>
          {before ? 'Replace' : 'Save'}
        </Button>
      </Group>
    </form>
  );
}

/** What this browser kept before the server did, until it is moved or forgotten. */
function KeptHere({
  mine,
  onFollow,
  onDone,
  onGone,
}: {
  mine: readonly SavedView[];
  onFollow: (event: MouseEvent, place: string) => void;
  onDone: (said: string) => void;
  /** Called when nothing of it is left: what had the focus is gone. */
  onGone: () => void;
}) {
  const [left, setLeft] = useState(keptHere);
  const list = useRef<HTMLUListElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const [fault, setFault] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const { keep } = useViewChanges();
  if (left.length === 0) return null;

  async function move(): Promise<void> {
    setBusy(true);
    setFault(null);
    const taken = mine.map((view) => view.name);
    for (const { name, place } of left) {
      const isThere = mine.some((view) => view.name === name && view.place === place);
      const free = freeName(name, taken);
      try {
        if (!isThere) await keep(free, place);
        taken.push(free);
        forgetHere(name);
      } catch (error) {
        setFault(error);
      }
    }
    const still = keptHere();
    flushSync(() => {
      setLeft(still);
      setBusy(false);
    });
    const moved = left.length - still.length;
    const rest = still.length > 0 ? `, ${still.length} could not be` : '';
    onDone(`${moved} ${moved === 1 ? 'view was' : 'views were'} moved to the server${rest}`);
    if (still.length === 0) onGone();
    else button.current?.focus();
  }
  function forget(name: string): void {
    const at = left.findIndex((one) => one.name === name);
    forgetHere(name);
    const still = keptHere();
    onDone(`${name} is forgotten`);
    flushSync(() => setLeft(still));
    // On to the one that has taken its place, or the last: whoever forgets several goes on from there.
    if (still.length === 0) onGone();
    else list.current?.querySelectorAll('button')[Math.min(at, still.length - 1)]?.focus();
  }
  return (
    <section className={style.kept} aria-label="Kept in this browser only">
      <h3 className={style.tab}>Kept in this browser only</h3>
      {fault !== null && <Fault error={fault} />}
      <ul className={style.views} ref={list}>
        {left.map(({ name, place }) => (
          <li key={name} className={style.line}>
            <a href={`${boot.base}${place}`} onClick={(event) => onFollow(event, place)}>
              {name}
            </a>
            <ActionIcon size="sm" aria-label={`Forget ${name}`} onClick={() => forget(name)}>
              <IconX size={14} />
            </ActionIcon>
          </li>
        ))}
      </ul>
      <Button size="xs" variant="light" ref={button} loading={busy} onClick={() => void move()}>
        Move to the server
      </Button>
    </section>
  );
}
