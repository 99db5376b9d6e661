import { Link, useParams } from '@tanstack/react-router';
import { useFresh } from '../../live/useFresh.ts';
import { Page } from '../../ui/Page.tsx';
import { concerns, KEYS } from './model.ts';
import { RuleDetail } from './RuleDetail.tsx';

/** One alert rule as a page of its own. */
export function RulePage() {
  const { id = '' } = useParams({ strict: false }) as { id?: string };
  useFresh(KEYS, concerns);
  return (
    <Page
      title="Alert rule"
      back={
        <Link to="/settings/alert-rules" search={((kept: object) => ({ ...kept, open: undefined })) as never}>
          All alert rules
        </Link>
      }
    >
      <RuleDetail id={id} />
    </Page>
  );
}
