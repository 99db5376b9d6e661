import { Page } from '../../ui/Page.tsx';

export function Webhooks() {
  return <Page title="Webhooks">{null}</Page>;
}
