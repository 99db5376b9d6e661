/** What is said of health at the edge of the page: one notice for all systems, however often they change. */
import type { Happening } from '../live/source.ts';

/** Systems that a notice names; the panel of health has them all. */
const NAMED = 3;

interface HealthTold {
  title: string;
  /** The latest first. */
  message: string;
  well: boolean;
  color: string;
}

/** What is said of all changes since the notice came, oldest first: of each system the latest, and how many there were. */
export function healthTold(changes: readonly Happening[]): HealthTold {
  const latest = new Map<string, Happening>();
  for (const change of changes) {
    latest.delete(change.reference);
    latest.set(change.reference, change);
  }
  const systems = [...latest.values()].reverse();
  const more = systems.length - NAMED;
  const named = systems.slice(0, NAMED).map(({ title }) => title);
  const well = systems.every(({ outcome }) => outcome === 'success');
  const bad = systems.some(({ outcome, kind }) => outcome !== 'success' && !kind.endsWith('degraded'));
  return {
    title: changes.length > 1 ? `Health has changed ${changes.length} times` : 'Health has changed',
    message: [...named, ...(more > 0 ? [`and ${more} more`] : [])].join('\n'),
    well,
    color: well ? 'teal' : bad ? 'red' : 'yellow',
  };
}
