import { useParams } from '@tanstack/react-router';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { ErrorDetail } from './ErrorDetail.tsx';
import { ToPart } from './ToPart.tsx';

export function ErrorPage() {
  const { id = '' } = useParams({ strict: false });
  return (
    <Page title="Error group" back={<ToPart change={{ part: 'errors' }}>All error groups</ToPart>}>
      <Panel title="What is raised">
        <ErrorDetail id={id} />
      </Panel>
    </Page>
  );
}
