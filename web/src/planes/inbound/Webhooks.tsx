/** Webhooks that come in: how they do, each of them in full, and what was refused. */
import { SegmentedControl } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { Page } from '../../ui/Page.tsx';
import { useSetSearch } from '../../view/view.ts';
import { Events } from './Events.tsx';
import { Figures } from './Figures.tsx';
import { Refused } from './Refused.tsx';
import { useInbound } from './search.ts';

const SHOWN = [
  { value: 'figures', label: 'Figures' },
  { value: 'events', label: 'Events' },
  { value: 'refused', label: 'Refused' },
];

export function Webhooks() {
  const { part = 'figures' } = useInbound();
  const set = useSetSearch();
  return (
    <Page
      title="Webhooks"
      actions={
        <>
          <Link to="/webhooks/endpoints">Outgoing: endpoints</Link>
          <SegmentedControl
            size="xs"
            aria-label="What is shown"
            data={SHOWN}
            value={part}
            onChange={(next) =>
              set({ part: next === 'figures' ? undefined : next, open: undefined, reason: undefined })
            }
          />
        </>
      }
    >
      {part === 'events' ? <Events /> : part === 'refused' ? <Refused /> : <Figures />}
    </Page>
  );
}
