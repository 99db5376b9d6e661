/** What a rule would have done with figures of the past: the life of an alert, looked at once a step. */
import type { RuleBody } from './draft.ts';

export interface Fired {
  /** When it would have begun to fire, milliseconds. */
  from: number;
  /** When it would have been over; null: it would still fire. */
  until: number | null;
  /** The worst figure in it. */
  worst: number;
}

const HOLDS: Record<RuleBody['comparator'], (value: number, bound: number) => boolean> = {
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
};

/** Figures that are nought where nothing was measured; the others are not there. */
const ZERO = new Set(['rate', 'count_rate', 'sum', 'count']);

/** What stands for a step in which nothing was measured. */
export function silent(aggregation: string): number | null {
  return ZERO.has(aggregation) ? 0 : null;
}

/**
 * When a rule would have fired.
 *
 * A step is looked at when it is over, as the server looks at the window that has just ended; none counts as fine.
 * `times` are the begins of the steps, `step` their width, milliseconds.
 */
export function fired(
  rule: Pick<RuleBody, 'comparator' | 'threshold' | 'clear' | 'hold_seconds' | 'clear_hold_seconds'>,
  times: readonly number[],
  values: readonly (number | null)[],
  step: number,
): Fired[] {
  const holds = HOLDS[rule.comparator];
  const [hold, fine] = [(rule.hold_seconds ?? 60) * 1_000, (rule.clear_hold_seconds ?? 60) * 1_000];
  const worse = (one: number, other: number) => (rule.comparator.startsWith('<') ? Math.min : Math.max)(one, other);
  const found: Fired[] = [];
  let now: Fired | null = null;
  let since: number | null = null;
  for (const [place, at] of times.entries()) {
    const value = values[place] ?? null;
    const looked = at + step;
    if (now === null) {
      if (value === null || !holds(value, rule.threshold)) since = null;
      else {
        since ??= looked;
        if (looked - since >= hold) {
          now = { from: looked, until: null, worst: value };
          found.push(now);
          since = null;
        }
      }
    } else if (value === null || !holds(value, rule.clear ?? rule.threshold)) {
      since ??= looked;
      if (looked - since >= fine) {
        now.until = looked;
        now = null;
        since = null;
      }
    } else {
      since = null;
      now.worst = worse(now.worst, value);
    }
  }
  return found;
}
