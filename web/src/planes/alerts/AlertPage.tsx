import { Link, useParams } from '@tanstack/react-router';
import { useFresh } from '../../live/useFresh.ts';
import { Page } from '../../ui/Page.tsx';
import { AlertDetail } from './AlertDetail.tsx';
import { concerns, KEYS } from './model.ts';

/** One alert as a page of its own. */
export function AlertPage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string };
  useFresh(KEYS, concerns);
  return (
    <Page
      title="Alert"
      back={
        <Link to="/settings/notifications" search={((kept: object) => ({ ...kept, open: undefined })) as never}>
          All alerts
        </Link>
      }
    >
      <AlertDetail id={id} />
    </Page>
  );
}
