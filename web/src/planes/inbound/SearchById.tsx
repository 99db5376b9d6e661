import { TextInput } from '@mantine/core';
import { type FormEvent, useEffect, useState } from 'react';
import { IconSearch } from '../../ui/icons.ts';
import { useSetSearch } from '../../view/view.ts';
import style from './Events.module.css';
import { useInbound } from './search.ts';

/** Find an event by whichever id one has: of Custodes, of the sender, or of the trace. */
export function SearchById() {
  const { id = '' } = useInbound();
  const set = useSetSearch();
  const [text, setText] = useState(id);
  useEffect(() => setText(id), [id]);
  function submit(event: FormEvent): void {
    event.preventDefault();
    set({ id: text.trim() || undefined });
  }
  return (
    <form className={style.search} onSubmit={submit}>
      <TextInput
        size="xs"
        label="Id of event, sender or trace"
        placeholder="evt_…"
        maxLength={255}
        value={text}
        leftSection={<IconSearch size={14} aria-hidden="true" />}
        onChange={(event) => setText(event.currentTarget.value)}
        onBlur={() => text.trim() !== id && set({ id: text.trim() || undefined })}
      />
    </form>
  );
}
