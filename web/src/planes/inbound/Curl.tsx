/** How to send the same bytes to another place: from here, with curl, or signed anew. */
import { Stack } from '@mantine/core';
import { api, type Schemas } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { installUrl, Snippet } from '../../ui/Snippet.tsx';
import { TryUrl } from '../../ui/TryUrl.tsx';
import { curl, howLong, signedRequest } from './curl.ts';
import type { Event } from './model.ts';

export function Curl({ event }: { event: Event }) {
  const headers = useGet('/webhook-events/{id}/headers', undefined, { path: { id: event.id } });
  const sources = useGet('/webhook-sources');
  if (!headers.data) return null;
  const source = sources.data?.items.find((one) => one.name === event.source);
  const kind = source?.kind || event.source;
  const holds = howLong(event.source, kind, headers.data.items);
  const sending = {
    kind,
    url: `${installUrl(boot.root)}${source?.path ?? `/hooks/${event.source}`}`,
    headers: headers.data.items,
    file: `${event.id}.bin`,
  };
  const tryUrl = (url: string) =>
    sent<Schemas['TrialModel']>(
      api.POST('/api/admin/enterprise/webhook-events/{id}/try', {
        params: { path: { id: event.id } },
        body: { url, reason: '' },
      }),
    );
  return (
    <Stack gap="xs">
      <div>
        <TryUrl operation="outbound_try_webhook_event" ask={tryUrl}>
          The same bytes are sent there now as they came, with their sender's signature: {holds}. Headers that were
          masked when it came do not go along.
        </TryUrl>
      </div>
      <p className="faint" style={{ margin: 0 }}>
        To have it handled again here, replay it. These lines send the downloaded bytes, to a test system for example.
        Signatures and secrets are placeholders: {holds}. Until SIGNATURE is set, the command is refused with 401.
      </p>
      <Snippet label="curl" copy="Copy curl" text={curl(sending)} />
      <p className="faint" style={{ margin: 0 }}>
        Or let Custodes sign the same bytes now, as {event.source} would:
      </p>
      <Snippet
        label="Signed request"
        copy="Copy signed request"
        text={signedRequest({
          ...sending,
          type: event.event_type,
          id: event.event_id,
        })}
      />
    </Stack>
  );
}
