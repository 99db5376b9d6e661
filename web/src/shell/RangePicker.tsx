/** Which stretch of time is looked at: typed, a preset, or two moments. */
import { Button, Popover, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { moment, span, zoneName, zoneOffset } from '../time/format.ts';
import { type Bounds, PRESETS, parseTyped, relativeLabel } from '../time/range.ts';
import { IconCalendarClock, IconChevronDown, IconZoomOut } from '../ui/icons.ts';
import { useSetRange, useView, useWiden } from '../view/view.ts';
import style from './RangePicker.module.css';

export function RangePicker() {
  const [opened, setOpened] = useState(false);
  const view = useView();
  const widen = useWiden();
  const label = relativeLabel(view.bounds);
  return (
    <div className={style.group}>
      <Popover
        opened={opened}
        onChange={setOpened}
        position="bottom-start"
        trapFocus
        returnFocus
        shadow="md"
        withinPortal
      >
        <Popover.Target>
          <Button
            data-range
            size="xs"
            variant="default"
            aria-haspopup="dialog"
            aria-expanded={opened}
            leftSection={<IconCalendarClock size={16} aria-hidden="true" />}
            rightSection={<IconChevronDown size={14} aria-hidden="true" />}
            onClick={() => setOpened(!opened)}
          >
            <span className={style.chosen}>{label ?? span(view.span.from, view.span.to, view.zone)}</span>
          </Button>
        </Popover.Target>
        <Popover.Dropdown aria-label="Time range" className={style.sheet}>
          {opened && <Choices close={() => setOpened(false)} />}
        </Popover.Dropdown>
      </Popover>
      {!label && (
        <Button size="xs" variant="default" className={style.wider} aria-label="Twice as much time" onClick={widen}>
          <IconZoomOut size={16} aria-hidden="true" />
        </Button>
      )}
    </div>
  );
}

function Choices({ close }: { close: () => void }) {
  const view = useView();
  const setRange = useSetRange();
  const [typed, setTyped] = useState('');
  const [fault, setFault] = useState<string | null>(null);
  const [from, setFrom] = useState(() => moment(view.span.from, view.zone));
  const [to, setTo] = useState(() => moment(view.span.to, view.zone));

  function choose(bounds: Bounds): void {
    setRange(bounds);
    close();
  }
  function submit(event: FormEvent, text: string): void {
    event.preventDefault();
    const bounds = parseTyped(text, view.zone);
    if (bounds) choose(bounds);
    else setFault('Not a time range: try “last 45m”, “yesterday” or “10:00-12:00”');
  }
  return (
    <div className={style.choices}>
      <div className={style.own}>
        <form onSubmit={(event) => submit(event, typed)}>
          <TextInput
            label="Type a range"
            placeholder="last 45m"
            size="xs"
            value={typed}
            data-autofocus
            error={fault}
            onChange={(event) => {
              setTyped(event.currentTarget.value);
              setFault(null);
            }}
            description="last 45m · yesterday · 10:00-12:00"
          />
        </form>
        <form className={style.absolute} onSubmit={(event) => submit(event, `${from} to ${to}`)}>
          <TextInput label="From" size="xs" value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
          <TextInput label="To" size="xs" value={to} onChange={(event) => setTo(event.currentTarget.value)} />
          <Button type="submit" size="xs" variant="light">
            Apply
          </Button>
          <p className={style.zone}>
            {[...new Set([zoneName(view.zone), zoneOffset(view.zone, view.now)])].join(' · ')}
          </p>
        </form>
      </div>
      <ul className={style.presets}>
        {PRESETS.map((preset) => {
          const bounds = { from: preset.from, to: preset.to ?? 'now' };
          const chosen = bounds.from === view.bounds.from && bounds.to === view.bounds.to;
          return (
            <li key={preset.label}>
              <button type="button" aria-pressed={chosen} className={style.preset} onClick={() => choose(bounds)}>
                {preset.label}
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
