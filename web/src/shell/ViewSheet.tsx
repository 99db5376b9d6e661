/** All views that one sees, by tab; those that only this browser kept; and the form that keeps the view that is shown. */
import { ActionIcon, Button, Group, Skeleton, TextInput } from '@mantine/core';
import { useRouter } from '@tanstack/react-router';
import { type FormEvent, type MouseEvent, type RefObject, useRef, useState } from 'react';
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
  const views = asked.data?.items;
  const mine = (views ?? []).filter((view) => view.mine);

  function follow(event: MouseEvent, place: string): void {
    if (!isPlainClick(event)) return;
    event.preventDefault();
    onFollow();
    history.push(`${boot.base}${place}`);
  }
  return (
    <>
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
        <div className={style.list}>
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
                      onGone={() => name.current?.focus()}
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
          {views && <KeptHere mine={mine} onFollow={follow} />}
          <KeepForm mine={mine} input={name} />
        </>
      )}
    </>
  );
}

function byName(one: SavedView, other: SavedView): number {
  return one.name.localeCompare(other.name);
}

/** Keeps the view that is shown; one of the same name gives way. */
function KeepForm({ mine, input }: { mine: readonly SavedView[]; input: RefObject<HTMLInputElement | null> }) {
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
}: {
  mine: readonly SavedView[];
  onFollow: (event: MouseEvent, place: string) => void;
}) {
  const [left, setLeft] = useState(keptHere);
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
    setLeft(keptHere());
    setBusy(false);
  }
  function forget(name: string): void {
    forgetHere(name);
    setLeft(keptHere());
  }
  return (
    <section className={style.kept} aria-label="Kept in this browser only">
      <h3 className={style.tab}>Kept in this browser only</h3>
      {fault !== null && <Fault error={fault} />}
      <ul className={style.views}>
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
      <Button size="xs" variant="light" loading={busy} onClick={() => void move()}>
        Move to the server
      </Button>
    </section>
  );
}
