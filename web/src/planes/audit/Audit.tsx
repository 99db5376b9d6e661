import { Page } from '../../ui/Page.tsx';

export function Audit() {
  return <Page title="Security audit">{null}</Page>;
}
