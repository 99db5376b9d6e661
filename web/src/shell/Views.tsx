/** Views that are kept under a name: the button above every page, and the sheet that it opens. */
import { ActionIcon, Popover, Tooltip } from '@mantine/core';
import { useState } from 'react';
import { IconBookmark } from '../ui/icons.ts';
import { ViewSheet } from './ViewSheet.tsx';
import style from './Views.module.css';

export function Views() {
  const [opened, setOpened] = useState(false);
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
            onClick={() => setOpened(!opened)}
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
