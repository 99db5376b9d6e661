/** Views that are kept under a name: the button above every page, and the sheet that it opens. */
import { ActionIcon, Popover, Tooltip } from '@mantine/core';
import { lazy, startTransition, useEffect, useState } from 'react';
import { IconBookmark } from '../ui/icons.ts';
import { whenIdle } from '../ui/whenIdle.ts';
import style from './Views.module.css';

// Not in the first load. It is there before somebody asks for it; who is faster waits for it, and then sees all of it.
const load = () => import('./ViewSheet.tsx').then((module) => ({ default: module.ViewSheet }));
const ViewSheet = lazy(load);

export function Views() {
  const [opened, setOpened] = useState(false);
  useEffect(() => whenIdle(() => void load().catch(() => undefined)), []);
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="bottom-end"
      width={380}
      shadow="md"
      trapFocus
      returnFocus
      withinPortal
    >
      <Popover.Target>
        <Tooltip label="Views that are kept under a name" disabled={opened}>
          <ActionIcon
            size="lg"
            aria-label="Saved views"
            aria-haspopup="dialog"
            aria-expanded={opened}
            onClick={() => startTransition(() => setOpened(!opened))}
          >
            <IconBookmark size={18} />
          </ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown aria-label="Saved views" className={style.sheet}>
        {opened && <ViewSheet onFollow={() => setOpened(false)} />}
      </Popover.Dropdown>
    </Popover>
  );
}
