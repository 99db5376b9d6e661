/** Alerts that fire: in which order they are looked at, what they are called, and where their cause is. */
import type { Schemas } from '../api/client.ts';
import { TABS } from './systems.ts';

export type Incident = Schemas['IncidentModel'];

const SEVERITIES = ['critical', 'warning', 'info'];

/** The worst first; of these, those that nobody has seen; of these, the latest. */
export function byUrgency(incidents: readonly Incident[]): Incident[] {
  const rank = ({ severity, acknowledged_by }: Incident) =>
    SEVERITIES.indexOf(severity) * 2 + (acknowledged_by ? 1 : 0);
  return [...incidents].sort((a, b) => rank(a) - rank(b) || b.started_at.localeCompare(a.started_at));
}

/** A title and what is to be said beside it: of a system that is not well the title says which, and how it is. */
export function told({ name, summary, labels }: Incident): { title: string; detail: string } {
  const colon = summary.indexOf(': ');
  if (labels.system && labels.figure === undefined && name.startsWith('A system') && colon > 0)
    return { title: summary.slice(0, colon), detail: summary.slice(colon + 2) };
  return { title: name, detail: summary === name ? '' : summary };
}

interface Place {
  to: string;
  search?: Record<string, string>;
}

/** Where one looks into it; null where there is no page for it. Labels of the host's own metrics may have any meaning. */
export function placeOf({ labels, trace_id }: Incident): Place | null {
  if (labels.system === 'api' && labels.digest)
    return { to: '/api', search: { part: 'calls', error_group: labels.digest } };
  if (labels.system === 'outbound' && labels.endpoint) return { to: `/webhooks/endpoints/${labels.endpoint}` };
  if (labels.system === 'audit' && labels.action)
    return { to: '/audit', search: { tab: 'entries', action: labels.action } };
  if (labels.system?.startsWith('webhook') && labels.source)
    return { to: '/webhooks', search: { part: 'events', source: labels.source } };
  const system = labels.system ? TABS[labels.system] : undefined;
  if (system) return { to: system };
  return trace_id ? { to: '/api', search: { part: 'calls', trace: trace_id } } : null;
}
