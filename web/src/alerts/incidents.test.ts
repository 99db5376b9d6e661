import { expect, test } from 'vitest';
import { byUrgency, type Incident, placeOf, told } from './incidents.ts';

function incident(given: Partial<Incident>): Incident {
  return { id: '1', name: 'A', summary: 'A', labels: {}, severity: 'warning', acknowledged_by: '', trace_id: '', started_at: '2026-11-26T03:00:00Z', ...given } as Incident; // biome-ignore format: one line
}

test('the worst that nobody has seen comes first, of these the latest', () => {
  const told = byUrgency([
    incident({ id: 'old' }),
    incident({ id: 'new', started_at: '2026-11-26T03:10:00Z' }),
    incident({ id: 'seen', severity: 'critical', acknowledged_by: 'ada' }),
    incident({ id: 'critical', severity: 'critical' }),
  ]);

  expect(told.map(({ id }) => id)).toEqual(['critical', 'seen', 'new', 'old']);
});

test('an alert of a system is called by the system and its state', () => {
  const summary = 'Outgoing webhooks are degraded: 4 deliveries wait';
  const labels = { system: 'outgoing_webhooks' };

  expect(told(incident({ name: 'A system is not healthy', summary, labels }))).toEqual({
    title: 'Outgoing webhooks are degraded',
    detail: '4 deliveries wait',
  });
  expect(told(incident({ name: 'Orders: none', summary: 'Orders: none' }))).toEqual({
    title: 'Orders: none',
    detail: '',
  });
});

test('an alert leads to what it is about', () => {
  const about: Record<string, string>[] = [
    { system: 'api', digest: 'abc' },
    { system: 'outbound', endpoint: 'e1' },
    { system: 'audit', action: 'auth.login' },
    { system: 'webhooks', source: 'stripe' },
    { system: 'rate_limits' },
    { system: 'storage' },
    { endpoint: '/checkout', action: 'refund', source: 'shop' },
  ];
  const places = about.map((labels) => placeOf(incident({ labels })));

  expect(places).toEqual([
    { to: '/api', search: { part: 'calls', error_group: 'abc' } },
    { to: '/webhooks/endpoints/e1' },
    { to: '/audit', search: { tab: 'entries', action: 'auth.login' } },
    { to: '/webhooks', search: { part: 'events', source: 'stripe' } },
    { to: '/rate-limits' },
    null,
    null,
  ]);
  expect(placeOf(incident({ trace_id: 't1' }))).toEqual({ to: '/api', search: { part: 'calls', trace: 't1' } });
});
