/** Views that one keeps: open one, keep the one that is shown, forget one. */
import { ActionIcon, Button, Group, Popover, TextInput, Tooltip } from '@mantine/core';
import { useRouter } from '@tanstack/react-router';
import { type FormEvent, type MouseEvent, useState } from 'react';
import { boot } from '../boot.ts';
import { IconBookmark, IconX } from '../ui/icons.ts';
import { forgetView, LONGEST_NAME, saveView, useSavedViews } from '../view/saved.ts';
import style from './Views.module.css';

export function Views() {
  const [opened, setOpened] = useState(false);
  const views = useSavedViews();
  const { history } = useRouter();

  function follow(event: MouseEvent, place: string): void {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    setOpened(false);
    history.push(`${boot.base}${place}`);
  }
  function save(event: FormEvent<HTMLFormElement>): void {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get('name')).trim();
    if (name === '') return;
    saveView(name);
    event.currentTarget.reset();
  }
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={300} trapFocus returnFocus withinPortal>
      <Popover.Target>
        <Tooltip label="Views that you keep">
          <ActionIcon size="lg" aria-label="Saved views" onClick={() => setOpened(!opened)}>
            <IconBookmark size={18} />
          </ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown aria-label="Saved views">
        {views.length > 0 && (
          <ul className={style.list}>
            {views.map(({ name, place }) => (
              <li key={name} className={style.view}>
                <a href={`${boot.base}${place}`} onClick={(event) => follow(event, place)}>
                  {name}
                </a>
                <ActionIcon size="sm" aria-label={`Forget ${name}`} onClick={() => forgetView(name)}>
                  <IconX size={14} />
                </ActionIcon>
              </li>
            ))}
          </ul>
        )}
        <form onSubmit={save}>
          <Group gap="xs" align="end" wrap="nowrap">
            <TextInput
              name="name"
              label="Keep this view as"
              description="In this browser; for others, copy the link"
              size="xs"
              required
              maxLength={LONGEST_NAME}
              data-autofocus
            />
            <Button type="submit" size="xs">
              Save
            </Button>
          </Group>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}
