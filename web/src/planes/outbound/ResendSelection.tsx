/** Send what is selected again: counted first, then a page at a time until there is no more. */
import { useQuery } from '@tanstack/react-query';
import { api } from '../../api/client.ts';
import { sent } from '../../api/hooks.ts';
import { count } from '../../time/format.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { useView } from '../../view/view.ts';
import { useAskAgain } from './model.ts';

type Missed = 'failed' | 'held';
type Resent = { deliveries: number; next_cursor: string };

interface Selection {
  endpoint_id: string;
  statuses: Missed[];
  since: string;
  until: string;
}

function resend(selection: Selection, dry_run: boolean): Promise<Resent> {
  return sent<Resent>(
    api.POST('/api/admin/enterprise/webhook-deliveries/resend', { body: { ...selection, cursor: '', dry_run } }),
  );
}

export function ResendSelection({ endpointId, missed }: { endpointId: string; missed?: Missed }) {
  const { when } = useView();
  const again = useAskAgain();
  const selection: Selection = { endpoint_id: endpointId, statuses: missed ? [missed] : ['failed', 'held'], ...when };

  async function all(): Promise<void> {
    try {
      await resend(selection, false);
    } finally {
      again();
    }
  }
  return (
    <ConfirmAction
      operation="outbound_resend_webhook_deliveries"
      label="Send missed again"
      reason="none"
      done="They are on their way"
      onConfirm={all}
    >
      <Counted selection={selection} />
    </ConfirmAction>
  );
}

function Counted({ selection }: { selection: Selection }) {
  const { endpoint_id, statuses } = selection;
  // By what is selected, not by the moments it means now: the count stays while one decides.
  const asked = useQuery({
    queryKey: ['/webhook-deliveries', 'dry run', endpoint_id, statuses],
    queryFn: () => resend(selection, true),
    gcTime: 0,
  });
  if (asked.isError) return 'They could not be counted.';
  if (!asked.data) return 'Counting…';
  const what = statuses.map((status) => (status === 'failed' ? 'given up' : 'held')).join(' or ');
  const many = asked.data.deliveries;
  if (many === 0) return `No delivery of the time range was ${what}.`;
  const said = many === 1 ? '1 delivery' : `${count(many)} deliveries`;
  return `Of the time range, ${said} ${what}: sent again, oldest first, with the same ids.`;
}
