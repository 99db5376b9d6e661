import { Button, Tooltip } from '@mantine/core';
import { useLiveStatus } from '../live/source.ts';
import { usePaused } from '../time/now.ts';
import { useSetSearch, useView } from '../view/view.ts';
import style from './LiveSwitch.module.css';

/** Live on or off; says also when it stands still for a moment, and when the server cannot be reached. */
export function LiveSwitch() {
  const view = useView();
  const set = useSetSearch();
  const paused = usePaused();
  const status = useLiveStatus();
  const state = !view.live ? 'off' : paused ? 'paused' : status === 'open' ? 'live' : 'waiting';
  const words = { off: 'Live off', paused: 'Paused', live: 'Live', waiting: 'Connecting' }[state];
  const why = !view.relative
    ? 'The range ends in the past: choose one that ends now'
    : state === 'paused'
      ? 'Stands still while you look; goes on when you move away'
      : 'Follow what happens (L)';
  return (
    <Tooltip label={why}>
      <Button
        size="xs"
        variant="default"
        role="switch"
        aria-checked={view.live}
        data-state={state}
        className={style.button}
        leftSection={<span className={style.dot} aria-hidden="true" />}
        aria-disabled={!view.relative}
        onClick={() => view.relative && set({ live: view.live ? 'off' : undefined }, { replace: true })}
      >
        {words}
      </Button>
    </Tooltip>
  );
}
