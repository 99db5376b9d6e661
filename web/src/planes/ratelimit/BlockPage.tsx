import { Link, useParams } from '@tanstack/react-router';
import { Page } from '../../ui/Page.tsx';
import { AccessDetail } from './AccessDetail.tsx';

/** One block or list entry as a page of its own. */
export function BlockPage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string };
  return (
    <Page
      title="Block"
      back={
        <Link to="/rate-limits" search={((kept: object) => ({ ...kept, view: 'blocks', open: undefined })) as never}>
          Blocks and bans
        </Link>
      }
    >
      <AccessDetail id={id} />
    </Page>
  );
}
