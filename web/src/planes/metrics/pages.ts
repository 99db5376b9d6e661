/** The pages, loaded together: one more file to name costs the first load more than it saves here. */
export { MetricPage } from './MetricPage.tsx';
export { Metrics } from './Metrics.tsx';
