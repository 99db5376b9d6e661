/** What people write into the forms of endpoints, read. */

/** Words apart by commas or white space. */
export const wordsOf = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== '');

/** Headers, one “Name: value” a line; null when a line is none. */
export function headersOf(text: string): Record<string, string> | null {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.some((line) => !line.includes(':'))) return null;
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(':');
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    }),
  );
}

/** What is said of headers that are none. */
export const NO_HEADERS = 'One “Name: value” a line';
