import { Link, useParams } from '@tanstack/react-router';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { EventDetail } from './EventDetail.tsx';

/** One webhook under its own address. */
export function EventPage() {
  const { id = '' } = useParams({ strict: false });
  return (
    <Page
      title="Webhook"
      back={
        <Link
          to="/webhooks"
          search={((kept: object) => ({ ...kept, part: 'events', open: undefined, versus: undefined })) as never}
        >
          All webhooks
        </Link>
      }
    >
      <Panel title={id}>
        <EventDetail id={id} />
      </Panel>
    </Page>
  );
}
