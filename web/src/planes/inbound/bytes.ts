/** What bytes mean: text, JSON, lines to show. Everything is bounded by the size of the largest webhook. */

/** Bytes that are parsed for a tree: a few hundred milliseconds of work at most. */
export const TREE = 8_000_000;

/** Characters in a line of text; longer ones are broken, so that a megabyte without a line break can be shown. */
const WIDTH = 96;

/** Read bytes as UTF-8; `exact` says whether nothing had to be replaced. */
export function decoded(bytes: Uint8Array): { text: string; exact: boolean } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), exact: true };
  } catch {
    return { text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), exact: false };
  }
}

/** How a form begins that holds JSON, and nothing but what forms are written with: the server takes no other. */
const FORM = /^payload=[!-%'-:<-~]*$/;

/** Whether bytes are likely JSON, as they are or in a form. */
export function looksLikeJson(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => byte > 32);
  return first === 0x7b || first === 0x5b || decoded(bytes.subarray(0, 8)).text === 'payload=';
}

/** Parse bytes as JSON, within bounds; of a form its field `payload`. */
export function parsed(bytes: Uint8Array): { value: unknown } | { fault: 'large' | 'no-json' } {
  if (bytes.length > TREE) return { fault: 'large' };
  const { text } = decoded(bytes);
  try {
    const json = FORM.test(text) ? decodeURIComponent(text.slice(8).replaceAll('+', ' ')) : text;
    return { value: JSON.parse(json) as unknown };
  } catch {
    return { fault: 'no-json' };
  }
}

/** Where the lines of a text begin, its end last; a line is no longer than {@link WIDTH}. */
export function lineStarts(text: string): number[] {
  const starts: number[] = [];
  for (let at = 0; at < text.length; ) {
    starts.push(at);
    const broken = text.indexOf('\n', at);
    const end = broken === -1 ? text.length : broken + 1;
    at = Math.min(end, at + WIDTH);
    // Not between the two halves of a character outside of the basic plane.
    if (at < end && isHighHalf(text.charCodeAt(at - 1))) at += 1;
  }
  starts.push(text.length);
  return starts;
}

function isHighHalf(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
