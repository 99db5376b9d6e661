import { Page } from '../../ui/Page.tsx';

export function RateLimits() {
  return <Page title="Rate limits">{null}</Page>;
}
