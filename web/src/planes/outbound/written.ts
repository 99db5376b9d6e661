/** What people write into the forms of endpoints, read. */

/** Words apart by commas or white space. */
export const wordsOf = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');

/** One header in the form. */
export interface Header {
  /** Tells it from the others, whatever is written. */
  key: number;
  name: string;
  /** What is written; of one that is kept, empty: as it is. */
  value: string;
  /** Whether the endpoint has it, with a value that nobody is told. */
  kept: boolean;
}

let made = 0;

export const newHeader = (): Header => ({ key: made++, name: '', value: '', kept: false });

/** Headers that an endpoint has, by their names. */
export const keptHeaders = (names: readonly string[]): Header[] =>
  [...names].sort().map((name) => ({ ...newHeader(), name, kept: true }));

/** Headers as the API takes them, all of them: null keeps the value that there is. */
export const headersOf = (headers: readonly Header[]): Record<string, string | null> =>
  Object.fromEntries(headers.map(({ name, value, kept }) => [name.trim(), kept && value === '' ? null : value.trim()]));

/** The members of one object that are not so in another. */
export function differing<T extends object>(was: T, is: T): Partial<T> {
  const before = was as Record<string, unknown>;
  const changed = Object.entries(is).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]));
  return Object.fromEntries(changed) as Partial<T>;
}
