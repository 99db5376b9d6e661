import { useParams } from '@tanstack/react-router';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { CallDetail } from './CallDetail.tsx';
import { ToPart } from './ToPart.tsx';

export function CallPage() {
  const { id = '' } = useParams({ strict: false });
  return (
    <Page title="API call" back={<ToPart change={{ part: 'calls' }}>All calls</ToPart>}>
      <Panel title="What was asked, and what came of it">
        <CallDetail id={id} />
      </Panel>
    </Page>
  );
}
