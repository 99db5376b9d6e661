/**
 * What a page asks first, asked before the program that draws it is here: the answers are on their way meanwhile.
 *
 * Whoever asks the same within a few seconds is given that answer, once.
 */

/** An answer is taken while it is so old at most, milliseconds. */
const GOOD_FOR = 10_000;

interface Asked {
  at: number;
  answer: Promise<Response>;
}

const asked = new Map<string, Asked>();

/** A URL, whatever the order of its parameters. */
function keyOf(url: string): string {
  const { pathname, searchParams } = new URL(url, window.location.href);
  searchParams.sort();
  return `${pathname}?${searchParams}`;
}

/** Ask now for what will be asked soon. */
export function askAhead(url: string): void {
  const answer = fetch(url);
  // Whoever takes it hears of a failure; one that nobody takes is none.
  answer.catch(() => undefined);
  asked.set(keyOf(url), { at: performance.now(), answer });
}

/** `fetch`, or the answer to the same that was asked ahead. */
export function fetchOrTake(request: Request): Promise<Response> {
  const key = keyOf(request.url);
  const found = request.method === 'GET' ? asked.get(key) : undefined;
  asked.delete(key);
  return found && performance.now() - found.at < GOOD_FOR ? found.answer : fetch(request);
}
