import { Button, Menu } from '@mantine/core';
import { zoneName, zoneOffset } from '../time/format.ts';
import { IconWorld } from '../ui/icons.ts';
import { useView } from '../view/view.ts';
import style from './TopBar.module.css';
import { useZones } from './zones.ts';

/** The zone of all moments on the page, and the others to choose. */
export function ZoneMenu() {
  const { now } = useView();
  const { chosen, choices, choose } = useZones();
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button
          size="xs"
          variant="default"
          className={style.zone}
          title="Time zone of all moments (Z: the next one)"
          leftSection={<IconWorld size={15} aria-hidden="true" />}
          aria-label={`Time zone ${zoneName(chosen)}, change`}
        >
          <span className={style.zoneName}>{zoneName(chosen)}</span>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>All moments are shown in</Menu.Label>
        {choices.map(({ zone, name, whose }) => (
          <Menu.Item
            key={zone}
            aria-current={zone === chosen}
            onClick={() => choose(zone)}
            rightSection={<span className="faint">{zoneOffset(zone, now)}</span>}
          >
            {name} <span className="faint">{whose}</span>
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
