/** The tab on which a system is looked into, where there is one; what it is called the server says. */
export const TABS: Record<string, string> = {
  webhooks: '/webhooks',
  webhook_completeness: '/webhooks',
  outbound: '/webhooks/endpoints',
  outgoing_webhooks: '/webhooks/endpoints',
  api: '/api',
  rate_limits: '/rate-limits',
  audit: '/audit',
};
