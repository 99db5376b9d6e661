import { Link, useParams } from '@tanstack/react-router';
import { Page } from '../../ui/Page.tsx';
import { RuleDetail } from './RuleDetail.tsx';

/** One rule as a page of its own. */
export function RulePage() {
  const { name = '' } = useParams({ strict: false }) as { name?: string };
  return (
    <Page
      title="Rule"
      back={
        <Link to="/rate-limits" search={((kept: object) => ({ ...kept, view: 'rules', open: undefined })) as never}>
          All rules
        </Link>
      }
    >
      <RuleDetail id={name} />
    </Page>
  );
}
