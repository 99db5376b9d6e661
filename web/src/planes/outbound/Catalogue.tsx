/** The catalogue of event types: what they mean, and what their payloads look like. */
import { useGet } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { IconWebhook } from '../../ui/icons.ts';
import { Panel } from '../../ui/Panel.tsx';
import { Hint, installUrl, Snippet } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import style from './Outbound.module.css';

export function Catalogue() {
  const asked = useGet('/webhook-event-types');
  const types = asked.data ?? [];
  return (
    <Panel
      title="Event catalogue"
      note="what is emitted is checked by it"
      of={asked}
      empty={types.length === 0}
      whenEmpty={
        <Hint
          icon={<IconWebhook size={28} />}
          title="No event type is described yet"
          text="Describe one with custodes.outbound.catalogue.put, or from a script:"
          snippet={`curl -X PUT ${installUrl(boot.root)}/api/admin/enterprise/webhook-event-types/order.paid \\\n  -H "X-API-Key: $CUSTODES_KEY" -H "Content-Type: application/json" \\\n  -d '{"description": "An order was paid", "payload_schema": {"type": "object"}}'`}
        />
      }
    >
      {types.map((type) => (
        <details key={type.name} className={style.type}>
          <summary>
            <b className="mono">{type.name}</b> {type.description}{' '}
            {type.archived && <StatusBadge state="archived" tone="plain" />}
          </summary>
          {type.payload_schema ? (
            <Snippet text={JSON.stringify(type.payload_schema, null, 2)} label={`Schema of ${type.name}`} />
          ) : (
            <p>Any payload goes.</p>
          )}
          {type.example !== null && type.example !== undefined && (
            <Snippet text={JSON.stringify(type.example, null, 2)} label={`Example of ${type.name}`} />
          )}
        </details>
      ))}
    </Panel>
  );
}
