/** One saved view: its link, who sees it and what it opens, and what may be done with it. */
import { ActionIcon, Button, Group, TextInput } from '@mantine/core';
import { type FormEvent, type MouseEvent, useId, useRef, useState } from 'react';
import { useMay } from '../api/may.ts';
import { boot, here } from '../boot.ts';
import { Fault } from '../ui/Fault.tsx';
import { IconChevronDown } from '../ui/icons.ts';
import { LONGEST_NAME, type SavedView, toldOf } from '../view/saved.ts';
import { useViewChanges } from '../view/useSavedViews.ts';
import style from './Views.module.css';

interface ViewRowProps {
  view: SavedView;
  onFollow: (event: MouseEvent) => void;
  /** Called with what was done, in words. */
  onDone: (said: string) => void;
}

export function ViewRow({ view, onFollow, onDone }: ViewRowProps) {
  const [opened, setOpened] = useState(false);
  const id = useId();
  const toggle = useRef<HTMLButtonElement>(null);
  return (
    <li data-view={view.id}>
      <div className={style.line}>
        <a href={`${boot.base}${view.place}`} aria-describedby={`${id}-told`} onClick={onFollow}>
          {view.name}
        </a>
        <ActionIcon
          ref={toggle}
          size="sm"
          aria-label={`Change ${view.name}`}
          aria-expanded={opened}
          aria-controls={`${id}-actions`}
          onClick={() => setOpened(!opened)}
        >
          <IconChevronDown size={14} className={opened ? style.open : undefined} />
        </ActionIcon>
      </div>
      <p id={`${id}-told`} className={style.told}>
        {toldOf(view)}
      </p>
      <div id={`${id}-actions`}>
        {opened && <Actions view={view} onAsked={() => toggle.current?.focus()} onDone={onDone} />}
      </div>
    </li>
  );
}

interface ActionsProps {
  view: SavedView;
  /** Called when a question was answered: what had the focus is gone. */
  onAsked: () => void;
  onDone: (said: string) => void;
}

function Actions({ view, onAsked, onDone }: ActionsProps) {
  const may = useMay();
  const { change, remove, openForMe, openForAll } = useViewChanges();
  const [asking, setAsking] = useState<'name' | 'delete' | null>(null);
  const [fault, setFault] = useState<unknown>(null);
  const { id } = view;

  async function run(does: Promise<unknown>, done: string): Promise<void> {
    setFault(null);
    try {
      await does;
      onDone(done);
      close();
    } catch (error) {
      setFault(error);
    }
  }
  function close(): void {
    if (asking !== null) onAsked();
    setAsking(null);
  }
  function rename(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get('name')).trim();
    if (name !== '') void run(change(id, { name }), `It is called ${name} now`);
  }
  return (
    <div className={style.actions}>
      {fault !== null && <Fault error={fault} />}
      {asking === 'name' && (
        <form onSubmit={rename}>
          <Group gap="xs" align="end" wrap="nowrap">
            <TextInput
              name="name"
              label="New name"
              size="xs"
              className={style.name}
              defaultValue={view.name}
              required
              maxLength={LONGEST_NAME}
              ref={focused}
            />
            <Button type="submit" size="xs">
              Rename
            </Button>
          </Group>
        </form>
      )}
      {asking === 'delete' && (
        <Group gap="xs">
          <span className={style.told}>{view.shared ? 'It goes for everybody.' : 'It cannot be brought back.'}</span>
          <Button
            size="compact-xs"
            color="red"
            ref={focused}
            onClick={() => void run(remove(id), `${view.name} is deleted`)}
          >
            Delete it
          </Button>
          <Button size="compact-xs" variant="default" onClick={close}>
            Cancel
          </Button>
        </Group>
      )}
      {asking === null && (
        <Group gap={6}>
          {may('identity_set_default_view') && (
            <Action
              label={view.my_default ? 'No longer open the tab with it' : 'Open the tab with it'}
              onClick={() =>
                void run(
                  openForMe(id, !view.my_default),
                  view.my_default ? 'The tab opens without it' : 'The tab opens with it',
                )
              }
            />
          )}
          {view.shared && may('identity_set_shared_default_view') && (
            <Action
              label={view.shared_default ? 'No longer for everybody' : 'Open the tab with it for everybody'}
              onClick={() =>
                void run(
                  openForAll(id, !view.shared_default),
                  view.shared_default ? 'The tab opens without it' : 'The tab opens with it for everybody',
                )
              }
            />
          )}
          {view.may_change && may('identity_change_saved_view') && (
            <>
              <Action
                label={view.shared ? 'Take back' : 'Share'}
                onClick={() =>
                  void run(
                    change(id, { shared: !view.shared }),
                    view.shared
                      ? 'Nobody else sees it any more'
                      : `Shared with all who administer ${view.tenant ?? 'all tenants'}`,
                  )
                }
              />
              <Action label="Rename" onClick={() => setAsking('name')} />
              <Action
                label="Replace by what is shown"
                onClick={() => void run(change(id, { place: here() }), 'It is what is shown now')}
              />
            </>
          )}
          {view.may_change && may('identity_delete_saved_view') && (
            <Action label="Delete" onClick={() => setAsking('delete')} />
          )}
        </Group>
      )}
    </div>
  );
}

/** What is asked for comes into focus when it is there. */
function focused(element: HTMLElement | null): void {
  element?.focus();
  if (element instanceof HTMLInputElement) element.select();
}

function Action({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <Button size="compact-xs" variant="default" onClick={onClick}>
      {label}
    </Button>
  );
}
