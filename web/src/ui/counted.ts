/** What is said of how many there are, and in which order what is counted stands. */
import { count } from '../time/format.ts';

/** How many rows a list has in all. */
export interface Total {
  count: number;
  /** False: at least so many, as no more were looked at. */
  exact: boolean;
}

/** `12 rows`, `200 of 12,345 rows`, `200 of at least 20,000 rows`; `200+ rows` where nobody counts. */
export function howMany(loaded: number, hasMore: boolean, total?: Total): string {
  if (!hasMore) return `${count(loaded)} ${loaded === 1 ? 'row' : 'rows'}`;
  // What has come since the count was made, or lies deeper than it looks, is no total.
  if (!total || total.count <= loaded) return `${count(loaded)}+ rows`;
  return `${count(loaded)} of ${total.exact ? '' : 'at least '}${count(total.count)} rows`;
}

/** Values that one facet shows at most, beside those that are chosen. */
const MOST = 40;

/**
 * The order of the values of a facet for as long as it is shown: what is there keeps its place, whatever its count
 * becomes; what is new, or chosen, is put below.
 */
export function settled(
  before: readonly string[],
  found: readonly string[],
  chosen: readonly string[],
): readonly string[] {
  const fresh = found.filter((one) => !before.includes(one)).slice(0, Math.max(0, MOST - before.length));
  const missing = chosen.filter((one) => !before.includes(one) && !fresh.includes(one));
  return fresh.length + missing.length === 0 ? before : [...before, ...fresh, ...missing];
}
