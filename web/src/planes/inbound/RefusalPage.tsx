import { Link, useParams } from '@tanstack/react-router';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { RefusalDetail } from './RefusalDetail.tsx';

/** One refused delivery under its own address. */
export function RefusalPage() {
  const { id = '' } = useParams({ strict: false });
  return (
    <Page
      title="Refused delivery"
      back={
        <Link to="/webhooks" search={{ part: 'refused' } as never}>
          All refused deliveries
        </Link>
      }
    >
      <Panel title={id}>
        <RefusalDetail id={id} />
      </Panel>
    </Page>
  );
}
