import { Link, useParams } from '@tanstack/react-router';
import { Page } from '../../ui/Page.tsx';
import { EndpointDetail } from './EndpointDetail.tsx';

/** One endpoint under its own address. */
export function EndpointPage() {
  const { id = '' } = useParams({ strict: false });
  return (
    <Page title="Webhook endpoint" back={<Link to="/webhooks/endpoints">All endpoints</Link>}>
      <EndpointDetail id={id} />
    </Page>
  );
}
