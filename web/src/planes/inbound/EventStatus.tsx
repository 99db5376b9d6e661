/** Where a webhook is on its way; one that nobody was there to handle does not look as if somebody had. */
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { type Event, STATUS_LABELS } from './model.ts';

export function EventStatus({ event }: { event: Pick<Event, 'status' | 'unhandled'> }) {
  if (event.unhandled) return <StatusBadge state="no handler" tone="plain" />;
  return <StatusBadge state={event.status} label={STATUS_LABELS[event.status]} />;
}
