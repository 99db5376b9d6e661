/** Is everything well, and if not, where to look: health, key figures, what is open, what happens just now. */
import { lazy, Suspense } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { Page, Row } from '../../ui/Page.tsx';
import { Activity } from './Activity.tsx';
import { Requests, Times, Webhooks } from './Courses.tsx';
import { KeyFigures } from './KeyFigures.tsx';
import { OpenAlerts } from './OpenAlerts.tsx';
import { Own } from './Own.tsx';
import { Systems } from './Systems.tsx';
import { ToReview } from './ToReview.tsx';

// The quick actions are fetched beside the figures, and hold nothing up.
const forms = import('./Actions.tsx').then((module) => ({ default: module.Actions }));
const Actions = lazy(() => forms);

export function Overview() {
  const api = useTimed('/api-health');
  return (
    <Page
      title="Overview"
      actions={
        <Suspense>
          <Actions />
        </Suspense>
      }
    >
      <Systems />
      <KeyFigures />
      <Row least={420}>
        <Requests api={api} />
        <Times api={api} />
      </Row>
      <Row least={420}>
        <OpenAlerts />
        <ToReview />
      </Row>
      <Row least={420}>
        <Activity />
        <Webhooks />
      </Row>
      <Own api={api} />
    </Page>
  );
}
