/** How the webhooks do: what waits, how many came, what became of them, how long it took, what failed. */
import { useTimed } from '../../api/hooks.ts';
import { useFresh } from '../../live/useFresh.ts';
import { Chips } from '../../ui/Facets.tsx';
import { Row } from '../../ui/Page.tsx';
import { Backlog } from './Backlog.tsx';
import { Completeness } from './Completeness.tsx';
import { BySource, Outcomes, ProcessingTimes, SuccessBySource } from './Courses.tsx';
import { ErrorGroups } from './ErrorGroups.tsx';
import { concerns } from './model.ts';
import { Secrets } from './Secrets.tsx';
import { Sources, Types } from './Sources.tsx';
import { Start } from './Start.tsx';
import { useEventQuery } from './search.ts';

const KEYS = [['/webhook-analytics'], ['/webhook-health']];
const NAMES = { source: 'Source', type: 'Type' };

export function Figures() {
  const { source, event_type } = useEventQuery();
  const asked = useTimed('/webhook-analytics', { source, event_type });
  const before = useTimed('/webhook-analytics', { source, event_type }, { which: 'before' });
  useFresh(KEYS, concerns);
  const total = asked.data?.total;
  const nothing = total !== undefined && total.received + total.duplicates + total.refused + total.succeeded === 0;
  return (
    <>
      <Chips names={NAMES} />
      <Backlog asked={asked} before={before} />
      {nothing && !source && !event_type ? (
        <Start />
      ) : (
        <>
          <Row least={420}>
            <Outcomes asked={asked} before={before} />
            <ProcessingTimes asked={asked} before={before} />
          </Row>
          <Row least={420}>
            <BySource asked={asked} />
            <SuccessBySource asked={asked} />
          </Row>
          <Row least={420}>
            <Sources asked={asked} />
            <Types asked={asked} />
          </Row>
          <ErrorGroups asked={asked} />
          <Completeness />
          <Secrets />
        </>
      )}
    </>
  );
}
