/** The parts of the webhooks tab: those that come in, and where others are sent to. */
import { SubTabs } from '../ui/SubTabs.tsx';
import { LASTING } from '../view/search.ts';

const PARTS = [
  { id: 'figures', label: 'Figures' },
  { id: 'events', label: 'Events' },
  { id: 'refused', label: 'Refused' },
  { id: 'endpoints', label: 'Endpoints', to: '/webhooks/endpoints' },
] as const;

export function WebhookParts({ current }: { current: (typeof PARTS)[number]['id'] }) {
  return <SubTabs label="Parts of webhooks" to="/webhooks" param="part" tabs={PARTS} current={current} keep={shared} />;
}

/** What stays when one goes to another part: what lasts from tab to tab, and the source; not what is open or narrowed. */
function shared(kept: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries([...LASTING, 'source'].map((name) => [name, kept[name]]));
}
