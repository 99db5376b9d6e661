/** What the panels of the audit tab share: names for states, reasons and rules, and the filters that are in the URL. */
import type { Schemas } from '../../api/client.ts';
import type { Happening } from '../../live/source.ts';
import type { Tone } from '../../ui/palette.ts';
import { text } from '../../view/search.ts';

export type Entry = Schemas['EntryModel'];
export type ReviewState = Schemas['ReviewState'];

/** What is asked again when something is recorded. */
export const KEYS = [['/audit-logs'], ['/audit-summary'], ['/audit-logs/{id}']];

export const ofAudit = (event: Happening) => event.plane === 'audit';

export const STATES: Record<ReviewState, { label: string; tone: Tone }> = {
  open: { label: 'Open', tone: 'warn' },
  acknowledged: { label: 'Being looked at', tone: 'info' },
  true_positive: { label: 'True positive', tone: 'bad' },
  benign: { label: 'Benign', tone: 'good' },
  false_positive: { label: 'False positive', tone: 'plain' },
};

/** What each verdict means, for somebody who decides at three in the morning. */
export const VERDICTS: readonly { state: ReviewState; key: string; means: string }[] = [
  { state: 'true_positive', key: 'p', means: 'It was what it looked like' },
  { state: 'benign', key: 'b', means: 'It happened, and was legitimate' },
  { state: 'false_positive', key: 'f', means: 'It should not have been flagged' },
];

export function riskTone(score: number): Tone {
  return score >= 80 ? 'bad' : score >= 60 ? 'warn' : 'plain';
}

/** Filters of the list of entries, as the API and the URL call them. */
export const FILTERS = ['actor', 'action', 'target', 'ip', 'text', 'kind', 'category', 'outcome', 'min_risk'] as const;

export type FilterName = (typeof FILTERS)[number];

export const FILTER_NAMES: Record<FilterName, string> = {
  actor: 'Actor',
  action: 'Action',
  target: 'Target',
  ip: 'Address',
  text: 'Text',
  kind: 'Kind',
  category: 'Category',
  outcome: 'Outcome',
  min_risk: 'Risk from',
};

const WORDS: Partial<Record<FilterName, readonly string[]>> = {
  kind: ['event', 'admin', 'security'],
  outcome: ['success', 'failure', 'denied'],
};

/** The filters in a URL; what the API would refuse is left out. */
export function filtersOf(search: Record<string, unknown>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of FILTERS) {
    const value = text(search[name]);
    if (value === undefined || (WORDS[name] && !WORDS[name].includes(value))) continue;
    if (name === 'min_risk' && !/^\d{1,2}$|^100$/.test(value)) continue;
    found[name] = value;
  }
  return found;
}

/** Who or what, as it is searched for. */
export function reference(of: { type: string; id: string }): string {
  return `${of.type}:${of.id}`;
}
