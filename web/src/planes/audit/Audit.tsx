/** The security audit: what is flagged and has to be decided, how risk goes, who does what, and everything recorded. */
import { Button } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { useFresh } from '../../live/useFresh.ts';
import { IconFileExport } from '../../ui/icons.ts';
import { Page } from '../../ui/Page.tsx';
import { SubTabs } from '../../ui/SubTabs.tsx';
import { oneOf, text } from '../../view/search.ts';
import { ActorDrawer } from './ActorDetail.tsx';
import { Actors } from './Actors.tsx';
import { Entries } from './Entries.tsx';
import { EntryDrawer } from './EntryDetail.tsx';
import { Figures } from './Figures.tsx';
import { Flags } from './Flags.tsx';
import { FILTERS, KEYS, ofAudit } from './model.ts';

const PARTS = [
  { id: 'flags', label: 'To review' },
  { id: 'actors', label: 'Actors' },
  { id: 'admin', label: 'Admin actions' },
  { id: 'entries', label: 'All entries' },
] as const;

const NAMES = ['flags', 'actors', 'admin', 'entries'] as const;

const NARROWING = [...FILTERS, 'flag', 'state', 'find'];

export function Audit() {
  const search: Record<string, unknown> = useSearch({ strict: false });
  const tab = oneOf(search.tab, NAMES) ?? 'flags';
  useFresh(KEYS, ofAudit);
  return (
    <Page
      title="Security audit"
      part={PARTS.find(({ id }) => id === tab)?.label}
      by={NARROWING}
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
      <SubTabs label="Parts of the audit" to="/audit" param="tab" tabs={PARTS} current={tab} />
      {tab === 'flags' && (
        <>
          <Figures />
          <Flags />
        </>
      )}
      {tab === 'actors' && <Actors />}
      {tab === 'admin' && <Entries only="admin" />}
      {tab === 'entries' && <Entries />}
      <EntryDrawer id={text(search.open)} />
      <ActorDrawer actor={text(search.who)} />
    </Page>
  );
}
