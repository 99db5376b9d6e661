/** How fast and how well the API answers, for whom, and what goes wrong: from a figure down to one call and its trace. */
import { Page } from '../../ui/Page.tsx';
import { SubTabs } from '../../ui/SubTabs.tsx';
import { Calls } from './Calls.tsx';
import { Consumers } from './Consumers.tsx';
import { Endpoints } from './Endpoints.tsx';
import { Errors } from './Errors.tsx';
import { FilterBar } from './FilterBar.tsx';
import { useTrafficSearch } from './model.ts';
import { Performance } from './Performance.tsx';
import { Scans } from './Scans.tsx';
import { FILTERS, PARTS } from './search.ts';
import { useSteps } from './useSteps.ts';

const SHOWN = {
  performance: Performance,
  endpoints: Endpoints,
  consumers: Consumers,
  errors: Errors,
  scans: Scans,
  calls: Calls,
};

const NARROWING = [...Object.keys(FILTERS), 'state'];

export function Traffic() {
  const part = useTrafficSearch().part ?? 'performance';
  const Part = SHOWN[part];
  useSteps();
  return (
    <Page title="API performance" part={PARTS.find(({ id }) => id === part)?.label} by={NARROWING}>
      <SubTabs label="Parts of API performance" to="/api" param="part" tabs={PARTS} current={part} />
      <FilterBar />
      <Part />
    </Page>
  );
}
