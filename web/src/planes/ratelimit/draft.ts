/** A rule that is being written: in the URL, so that a link shows the same rule and the same replay. */
import type { Schemas } from '../../api/client.ts';
import { type Raw, text } from '../../view/search.ts';
import type { Rule } from './model.ts';

export interface Draft {
  name?: string;
  limits?: string;
  by?: string;
  route?: string;
  /** Comma-separated. */
  methods?: string;
  exempt?: string;
  cost?: string;
  lease?: string;
  shadow?: 'yes' | 'no';
  off?: 'yes';
  fail?: 'open' | 'closed' | 'degraded';
}

const FIELDS = [
  'name',
  'limits',
  'by',
  'route',
  'methods',
  'exempt',
  'cost',
  'lease',
  'shadow',
  'off',
  'fail',
] as const;

export function draftOf(raw: Raw): Draft {
  const found: Record<string, string> = {};
  for (const field of FIELDS) {
    const value = text(raw[field]);
    if (value !== undefined) found[field] = value;
  }
  return found as Draft;
}

/** The fields that are not written are taken out of the URL. */
export function searchOf(draft: Draft): Record<(typeof FIELDS)[number], string | undefined> {
  return Object.fromEntries(FIELDS.map((field) => [field, draft[field] || undefined])) as never;
}

/** A rule that is there, as one would write it. */
export function draftOfRule(rule: Rule): Draft {
  return {
    name: rule.name,
    limits: rule.limits.map((limit) => limit.text).join('; '),
    by: rule.by,
    route: rule.route,
    methods: rule.methods.join(', '),
    exempt: rule.exempt.join(', '),
    cost: String(rule.cost ?? 1),
    lease: rule.lease > 1 ? String(rule.lease) : undefined,
    shadow: rule.shadow ? 'yes' : 'no',
    off: rule.enabled ? undefined : 'yes',
    fail: rule.on_failure ?? undefined,
  };
}

export function list(written: string | undefined): string[] {
  return (written ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** A whole number of units, at least one. */
export function units(written: string | undefined): number {
  return Math.max(1, Math.floor(Number(written ?? 1)) || 1);
}

/** What the API is sent for it. */
export function ruleOf(draft: Draft): Schemas['TrialRule'] & { name: string } {
  return {
    name: (draft.name ?? '').trim(),
    limits: (draft.limits ?? '').trim(),
    by: (draft.by ?? 'ip').trim() || 'ip',
    route: (draft.route ?? '*').trim() || '*',
    methods: list(draft.methods).map((method) => method.toUpperCase()),
    exempt: list(draft.exempt),
    cost: units(draft.cost),
  };
}
