/** Webhooks that come in: how they do, each of them in full, and what was refused. */
import { WebhookParts } from '../../shell/WebhookParts.tsx';
import { Page } from '../../ui/Page.tsx';
import { Events } from './Events.tsx';
import { Figures } from './Figures.tsx';
import { Refused } from './Refused.tsx';
import { useInbound } from './search.ts';

export function Webhooks() {
  const { part = 'figures' } = useInbound();
  return (
    <Page title="Webhooks">
      <WebhookParts current={part} />
      {part === 'events' ? <Events /> : part === 'refused' ? <Refused /> : <Figures />}
    </Page>
  );
}
