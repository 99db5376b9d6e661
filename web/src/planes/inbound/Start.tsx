/** The lines to paste while nothing has come yet. */
import { useGet } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { IconInbox } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { installUrl, Snippet } from '../../ui/Snippet.tsx';
import style from './Start.module.css';

const SENDERS = [
  {
    name: 'stripe',
    title: 'Stripe',
    where: 'Developers › Webhooks › Add destination. The signing secret is on the page of the destination.',
    secret: 'STRIPE_WEBHOOK_SECRET=whsec_…',
  },
  {
    name: 'github',
    title: 'GitHub',
    where: 'Settings › Webhooks › Add webhook. Content type: application/json. The secret is one that you make up.',
    secret: 'GITHUB_WEBHOOK_SECRET=…',
  },
] as const;

export function Start() {
  const sources = useGet('/webhook-sources');
  const url = installUrl(boot.root);
  const known = sources.data?.items ?? [];
  return (
    <Panel title="No webhook in this stretch of time" of={sources}>
      <Message
        icon={<IconInbox size={28} />}
        title={known.length > 0 ? 'Deliveries are awaited here' : 'Give a sender an address'}
        text={
          known.length > 0
            ? 'Post to one of these addresses, and it is on this page within a second.'
            : 'Two lines: the address at the sender, its secret in the environment of this server.'
        }
      />
      {known.length > 0 && (
        <Snippet
          label="Addresses of the sources"
          text={known.map((source) => `${source.name.padEnd(18)} ${url}${source.path}`).join('\n')}
        />
      )}
      <div className={style.senders}>
        {SENDERS.map(({ name, title, where, secret }) => {
          const set = known.some((source) => source.name === name);
          return (
            <section key={name}>
              <h3 className={style.title}>{title}</h3>
              <p className={style.where}>{where}</p>
              <Snippet
                label={`Lines for ${title}`}
                text={`# at ${title}: the address\n${url}/hooks/${name}\n\n# here: the secret${set ? ' (is set)' : ', then start the server again'}\n${secret}`}
              />
            </section>
          );
        })}
        <section>
          <h3 className={style.title}>Handle them</h3>
          <p className={style.where}>Whatever is not handled is kept all the same, and can be replayed later.</p>
          <Snippet
            label="Lines for a handler"
            text={
              '@custodes.webhook("stripe", "invoice.paid")\nasync def invoice_paid(event: WebhookEvent) -> None:\n    invoice = event.json()["data"]["object"]'
            }
          />
        </section>
      </div>
    </Panel>
  );
}
