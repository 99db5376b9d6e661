/** Each system by its name for people, and the tab on which it is looked into where there is one. */
export const SYSTEMS: Record<string, { name: string; to?: string }> = {
  storage: { name: 'Storage' },
  webhooks: { name: 'Webhooks in', to: '/webhooks' },
  webhook_completeness: { name: 'Completeness', to: '/webhooks' },
  outbound: { name: 'Webhooks out', to: '/webhooks/endpoints' },
  outgoing_webhooks: { name: 'Webhooks out', to: '/webhooks/endpoints' },
  api: { name: 'API', to: '/api' },
  rate_limits: { name: 'Rate limits', to: '/rate-limits' },
  audit: { name: 'Audit trail', to: '/audit' },
  metrics: { name: 'Metrics' },
  alerts: { name: 'Alerts' },
  identity: { name: 'Sign-in' },
  retention: { name: 'Clean-up' },
};
