/** The security audit: what is flagged and has to be decided, how risk goes, who does what, and everything recorded. */
import { Button, Tabs } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { useFresh } from '../../live/useFresh.ts';
import { IconFileExport } from '../../ui/icons.ts';
import { Page } from '../../ui/Page.tsx';
import { oneOf, text } from '../../view/search.ts';
import { useSetSearch } from '../../view/view.ts';
import { ActorDrawer } from './ActorDetail.tsx';
import { Actors } from './Actors.tsx';
import { Entries } from './Entries.tsx';
import { EntryDrawer } from './EntryDetail.tsx';
import { Figures } from './Figures.tsx';
import { Flags } from './Flags.tsx';
import { KEYS, ofAudit } from './model.ts';

const TABS = [
  { value: 'flags', label: 'To review' },
  { value: 'actors', label: 'Actors' },
  { value: 'admin', label: 'Admin actions' },
  { value: 'entries', label: 'All entries' },
] as const;

const NAMES = ['flags', 'actors', 'admin', 'entries'] as const;

export function Audit() {
  const search: Record<string, unknown> = useSearch({ strict: false });
  const set = useSetSearch();
  const tab = oneOf(search.tab, NAMES) ?? 'flags';
  useFresh(KEYS, ofAudit);
  return (
    <Page
      title="Security audit"
      actions={
        <Button
          size="xs"
          variant="default"
          leftSection={<IconFileExport size={15} aria-hidden="true" />}
          renderRoot={(props) => <Link to={'/audit/report' as '/audit'} search={(kept) => kept} {...props} />}
        >
          Compliance report
        </Button>
      }
    >
      <Figures />
      <Tabs
        value={tab}
        keepMounted={false}
        onChange={(value) => set({ tab: value === 'flags' ? undefined : (value ?? undefined), open: undefined })}
      >
        <Tabs.List aria-label="Parts of the audit">
          {TABS.map(({ value, label }) => (
            <Tabs.Tab key={value} value={value}>
              {label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="flags" pt="md">
          <Flags />
        </Tabs.Panel>
        <Tabs.Panel value="actors" pt="md">
          <Actors />
        </Tabs.Panel>
        <Tabs.Panel value="admin" pt="md">
          <Entries only="admin" />
        </Tabs.Panel>
        <Tabs.Panel value="entries" pt="md">
          <Entries />
        </Tabs.Panel>
      </Tabs>
      <EntryDrawer id={text(search.open)} />
      <ActorDrawer actor={text(search.who)} />
    </Page>
  );
}
