import { Page } from '../../ui/Page.tsx';

export function Traffic() {
  return <Page title="API performance">{null}</Page>;
}
