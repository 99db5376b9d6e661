/** What differs between two things of a kind, by their fields. */
import type { Change } from './Diff.tsx';

/** Fields by the names that are shown, in the order in which they are shown. */
export type Fields = Readonly<Record<string, string>>;

/** Fields in which two differ, and the names of those in which they are the same; what only one has differs. */
export function differences(one: Fields, other: Fields): { changes: Change[]; same: string[] } {
  const changes: Change[] = [];
  const same: string[] = [];
  for (const path of new Set([...Object.keys(one), ...Object.keys(other)])) {
    const [before, after] = [one[path], other[path]];
    if (before === after) same.push(path);
    else changes.push({ path, before, after });
  }
  return { changes, same };
}

/** Which two are compared: those that the URL names, as far as they are there, else the last two. */
export function chosen(ids: readonly string[], named: readonly string[]): [string, string] | null {
  const [before, last] = ids.slice(-2);
  if (before === undefined || last === undefined) return null;
  const [one, other] = named;
  const known = (id: string | undefined): id is string => id !== undefined && ids.includes(id);
  return [known(one) ? one : before, known(other) ? other : last];
}
