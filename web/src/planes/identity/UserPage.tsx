import { Link, useParams } from '@tanstack/react-router';
import { useFresh } from '../../live/useFresh.ts';
import { Page } from '../../ui/Page.tsx';
import { concerns, KEYS } from './model.ts';
import { UserDetail } from './UserDetail.tsx';

/** One user as a page of its own. */
export function UserPage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string };
  useFresh(KEYS, concerns);
  return (
    <Page
      title="User"
      back={
        <Link to="/settings" search={((kept: object) => ({ ...kept, open: undefined })) as never}>
          All users
        </Link>
      }
    >
      <UserDetail id={id} />
    </Page>
  );
}
