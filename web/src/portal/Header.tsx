/** Whose portal it is, what the link lets one do and until when. */
import { ActionIcon, Button, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useEffect } from 'react';
import { IconEye, IconMoon, IconSun } from '../ui/icons.ts';
import { api, type Session } from './api.ts';
import { boot } from './boot.ts';
import style from './Portal.module.css';
import { linkTo } from './place.ts';
import { chooseZone, useMoment, useZone, zoneChoices } from './zone.ts';

export function Header({ session }: { session?: Session }) {
  const { setColorScheme } = useMantineColorScheme();
  const moment = useMoment();
  const dark = useComputedColorScheme('light') === 'dark';

  useEffect(() => {
    // Not in the HTML: the Content-Security-Policy lets no style be written there.
    if (boot.colour) document.documentElement.style.setProperty('--c-brand', boot.colour);
  }, []);

  async function leave(): Promise<void> {
    await api.DELETE('/api/session');
    window.location.reload();
  }
  return (
    <header className={style.header}>
      <div className={style.bar}>
        <a className={style.brand} {...linkTo({})}>
          <span className={style.mark} aria-hidden="true" />
          <span className="cut">
            {boot.name && <b>{boot.name} </b>}
            {boot.name ? <span className="faint">Webhooks</span> : <b>Webhooks</b>}
          </span>
        </a>
        {session && (
          <p className={style.until}>
            {session.scope === 'view' && (
              <span className={style.only}>
                <IconEye size={14} aria-hidden="true" /> View only
              </span>
            )}
            <span>Open until {moment(session.expires_at, 'minute')}</span>
          </p>
        )}
        {session && <ZoneChoice />}
        <ActionIcon
          aria-label={dark ? 'Light colours' : 'Dark colours'}
          onClick={() => setColorScheme(dark ? 'light' : 'dark')}
        >
          {dark ? <IconSun size={17} aria-hidden="true" /> : <IconMoon size={17} aria-hidden="true" />}
        </ActionIcon>
        {session && (
          <Button size="xs" variant="default" onClick={() => void leave()}>
            Leave
          </Button>
        )}
      </div>
    </header>
  );
}

/** The zone of all moments on the page, and the others to choose. */
function ZoneChoice() {
  const zone = useZone();
  return (
    <select
      className={style.zone}
      aria-label="Time zone of all moments"
      value={zone}
      onChange={(event) => chooseZone(event.currentTarget.value)}
    >
      {zoneChoices().map((one) => (
        <option key={one.zone} value={one.zone}>
          {one.name}
        </option>
      ))}
    </select>
  );
}
