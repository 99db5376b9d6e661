/** The five tabs, in the order in which one looks during an incident. */
import { IconActivityHeartbeat, IconGauge, IconHandStop, IconShieldCheck, IconWebhook } from '../ui/icons.ts';

export const TABS = [
  { to: '/', label: 'Overview', short: 'Overview', key: '1', icon: IconActivityHeartbeat },
  { to: '/webhooks', label: 'Webhooks', short: 'Webhooks', key: '2', icon: IconWebhook },
  { to: '/api', label: 'API performance', short: 'API', key: '3', icon: IconGauge },
  { to: '/audit', label: 'Security audit', short: 'Audit', key: '4', icon: IconShieldCheck },
  { to: '/rate-limits', label: 'Rate limits', short: 'Limits', key: '5', icon: IconHandStop },
] as const;
