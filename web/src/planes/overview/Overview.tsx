/** Is everything well, and if not, where to look: health, key figures, what is open, what happens just now. */
import { useTimed } from '../../api/hooks.ts';
import { Page, Row } from '../../ui/Page.tsx';
import { useAfterPaint } from '../../ui/useAfterPaint.ts';
import { Actions } from './Actions.tsx';
import { Activity } from './Activity.tsx';
import { Requests, Times, Webhooks } from './Courses.tsx';
import { KeyFigures } from './KeyFigures.tsx';
import { OpenAlerts } from './OpenAlerts.tsx';
import style from './Overview.module.css';
import { Own } from './Own.tsx';
import { Systems } from './Systems.tsx';
import { ToReview } from './ToReview.tsx';

export function Overview() {
  const api = useTimed('/api-health');
  // Whether all is well is drawn before anything is that takes longer.
  const later = useAfterPaint(api.data !== undefined || api.isError);
  return (
    <Page title="Overview" actions={<Actions />}>
      <Systems />
      <KeyFigures />
      {later ? (
        <>
          <Row least={420}>
            <OpenAlerts />
            <ToReview />
          </Row>
          <Row least={420}>
            <Requests api={api} />
            <Times api={api} />
          </Row>
          <Row least={420}>
            <Activity />
            <Webhooks />
          </Row>
          <Own api={api} />
        </>
      ) : (
        <div className={style.room} aria-busy="true" />
      )}
    </Page>
  );
}
