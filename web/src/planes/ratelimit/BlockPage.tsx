import { useParams } from '@tanstack/react-router';
import { Page } from '../../ui/Page.tsx';
import { AccessDetail } from './AccessDetail.tsx';

/** One block or list entry as a page of its own. */
export function BlockPage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string };
  return (
    <Page title="Block">
      <AccessDetail id={id} />
    </Page>
  );
}
