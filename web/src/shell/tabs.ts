/** The five tabs, in the order in which one looks during an incident. */
import { IconActivityHeartbeat, IconGauge, IconHandStop, IconShieldCheck, IconWebhook } from '../ui/icons.ts';

export const TABS = [
  { to: '/', label: 'Overview', key: '1', icon: IconActivityHeartbeat },
  { to: '/webhooks', label: 'Webhooks', key: '2', icon: IconWebhook },
  { to: '/api', label: 'API performance', key: '3', icon: IconGauge },
  { to: '/audit', label: 'Security audit', key: '4', icon: IconShieldCheck },
  { to: '/rate-limits', label: 'Rate limits', key: '5', icon: IconHandStop },
] as const;
