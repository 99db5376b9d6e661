/** Webhooks that come in: how they do, each of them in full, and what was refused. */
import { WebhookParts } from '../../shell/WebhookParts.tsx';
import { Page } from '../../ui/Page.tsx';
import { Events } from './Events.tsx';
import { Figures } from './Figures.tsx';
import { Refused } from './Refused.tsx';
import { FILTERS, type Part, useInbound } from './search.ts';

/** Parts as the browser's tab tells them. */
const TITLES: Record<Part, string> = { figures: 'Figures', events: 'Events', refused: 'Refused' };

const NARROWING = [...Object.keys(FILTERS), 'reason', 'address'];

export function Webhooks() {
  const { part = 'figures' } = useInbound();
  return (
    <Page title="Webhooks" part={TITLES[part]} by={NARROWING}>
      <WebhookParts current={part} />
      {part === 'events' ? <Events /> : part === 'refused' ? <Refused /> : <Figures />}
    </Page>
  );
}
