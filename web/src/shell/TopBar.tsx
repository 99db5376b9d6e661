/** The bar above every page: time, comparison, live, and the menu of whoever is signed in. */
import { ActionIcon, Button, Menu, Tooltip, useMantineColorScheme } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { whoIAm } from '../api/may.ts';
import { signOut } from '../api/session.ts';
import { boot } from '../boot.ts';
import {
  IconCommand,
  IconDeviceDesktop,
  IconKeyboard,
  IconLogout,
  IconMoon,
  IconPassword,
  IconSun,
  IconUserCircle,
} from '../ui/icons.ts';
import { useSetSearch, useView } from '../view/view.ts';
import { Bell } from './Bell.tsx';
import { LiveSwitch } from './LiveSwitch.tsx';
import { RangePicker } from './RangePicker.tsx';
import type { Overlay } from './Shell.tsx';
import style from './TopBar.module.css';
import { Views } from './Views.tsx';
import { ZoneMenu } from './ZoneMenu.tsx';

export function TopBar({ onOverlay }: { onOverlay: (overlay: Overlay) => void }) {
  const view = useView();
  const set = useSetSearch();
  return (
    <header className={style.bar}>
      <RangePicker />
      <Tooltip label="Compare with the period before (C)">
        <Button
          size="xs"
          variant={view.before ? 'light' : 'default'}
          aria-pressed={view.before !== null}
          onClick={() => set({ compare: view.before ? undefined : 'previous' })}
        >
          Compare
        </Button>
      </Tooltip>
      <LiveSwitch />
      <div className={style.tools}>
        <ZoneMenu />
        <Tooltip label="Find a page or an action (Ctrl K)">
          <ActionIcon size="lg" aria-label="Command palette" onClick={() => onOverlay('palette')}>
            <IconCommand size={18} />
          </ActionIcon>
        </Tooltip>
        <Views />
        <Bell />
        <ThemeMenu />
        <PersonMenu onOverlay={onOverlay} />
      </div>
    </header>
  );
}

function ThemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const choices = [
    { value: 'light', label: 'Light', icon: <IconSun size={16} /> },
    { value: 'dark', label: 'Dark', icon: <IconMoon size={16} /> },
    { value: 'auto', label: 'As the system', icon: <IconDeviceDesktop size={16} /> },
  ] as const;
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon size="lg" aria-label="Light or dark">
          {choices.find((choice) => choice.value === colorScheme)?.icon}
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {choices.map(({ value, label, icon }) => (
          <Menu.Item
            key={value}
            leftSection={icon}
            onClick={() => setColorScheme(value)}
            aria-current={value === colorScheme}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function PersonMenu({ onOverlay }: { onOverlay: (overlay: Overlay) => void }) {
  const { data } = useQuery(whoIAm);
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon size="lg" aria-label="You">
          <IconUserCircle size={20} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {data ? `${data.subject} · ${data.role}${data.tenant ? ` of ${data.tenant}` : ''}` : '…'}
        </Menu.Label>
        <Menu.Item leftSection={<IconKeyboard size={16} />} onClick={() => onOverlay('keys')}>
          Keys
        </Menu.Item>
        {data?.method === 'session' && (
          <>
            {data.issuer === 'local' && (
              <Menu.Item leftSection={<IconPassword size={16} />} component="a" href={`${boot.base}/password`}>
                Change password
              </Menu.Item>
            )}
            <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void signOut()}>
              Sign out
            </Menu.Item>
          </>
        )}
        <Menu.Divider />
        <Menu.Label>Custodes {boot.version}</Menu.Label>
      </Menu.Dropdown>
    </Menu>
  );
}
