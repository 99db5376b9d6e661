/** Find a page or an action by typing: Ctrl or Cmd and K. */
import { Modal, TextInput } from '@mantine/core';
import { useId, useMemo, useState } from 'react';
import { IconSearch } from '../ui/icons.ts';
import { useCommands } from './commands.ts';
import style from './Palette.module.css';
import type { Overlay } from './Shell.tsx';

interface PaletteProps {
  onClose: () => void;
  onOverlay: (overlay: Overlay) => void;
}

export function Palette({ onClose, onOverlay }: PaletteProps) {
  const [typed, setTyped] = useState('');
  const [at, setAt] = useState(0);
  const list = useId();
  const commands = useCommands(typed, onOverlay);
  const found = useMemo(() => {
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    return commands.filter(({ label, hint, always }) => {
      const text = `${label} ${hint ?? ''}`.toLowerCase();
      return always || words.every((word) => text.includes(word));
    });
  }, [commands, typed]);
  const chosen = found[Math.min(at, found.length - 1)];

  function run(command: (typeof found)[number] | undefined): void {
    if (!command) return;
    onClose();
    command.run();
  }
  return (
    <Modal
      opened
      onClose={onClose}
      withCloseButton={false}
      padding={0}
      size="lg"
      yOffset="12vh"
      aria-label="Command palette"
    >
      <TextInput
        size="md"
        variant="unstyled"
        className={style.input}
        placeholder="A page, an action, a time range, a trace id …"
        leftSection={<IconSearch size={18} aria-hidden="true" />}
        data-autofocus
        role="combobox"
        aria-expanded
        aria-controls={list}
        aria-activedescendant={chosen ? `${list}-${chosen.id}` : undefined}
        aria-label="Find a page or an action"
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Enter') run(chosen);
          else if (event.key === 'ArrowDown') setAt(Math.min(at + 1, found.length - 1));
          else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0));
          else return;
          event.preventDefault();
        }}
      />
      <div className={style.list} role="listbox" id={list} aria-label="Found">
        {found.map((command) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input has the focus and the keys (combobox pattern)
          <div
            key={command.id}
            id={`${list}-${command.id}`}
            role="option"
            tabIndex={-1}
            aria-selected={command === chosen}
            className={style.item}
            onClick={() => run(command)}
          >
            <command.icon size={17} aria-hidden="true" />
            <span>{command.label}</span>
            {command.hint && <span className={style.hint}>{command.hint}</span>}
          </div>
        ))}
        {found.length === 0 && <p className={style.none}>Nothing of that name</p>}
      </div>
    </Modal>
  );
}
