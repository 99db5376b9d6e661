/** Have one event handled again, from its row or its page. */
import { useQueryClient } from '@tanstack/react-query';
import { api } from '../../api/client.ts';
import { sent } from '../../api/hooks.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import type { Event } from './model.ts';

/** What a replay changes. */
const CHANGED = [
  ['/webhook-events/{id}'],
  ['/webhook-events/{id}/attempts'],
  ['/webhook-events', 'rows'],
  ['/webhook-health'],
];

export function Replay({ event, small }: { event: Event; small?: boolean }) {
  const queries = useQueryClient();
  async function replay(reason: string): Promise<void> {
    const params = { path: { id: event.id } };
    await sent(api.POST('/api/admin/enterprise/webhook-events/{id}/replay', { params, body: { reason } }));
    for (const queryKey of CHANGED) void queries.invalidateQueries({ queryKey });
  }
  return (
    <ConfirmAction
      operation="inbound_replay_webhook_event"
      label="Replay"
      done="It is handled again"
      reason="optional"
      disabled={event.status === 'processing'}
      button={small ? { size: 'compact-xs' } : undefined}
      onConfirm={replay}
    >
      {event.status === 'failed'
        ? 'It is tried again now, not at its next turn. Handlers that are done with it are not called again.'
        : 'All handlers that want it are called again with the same bytes and the same id.'}
    </ConfirmAction>
  );
}
