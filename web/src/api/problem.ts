/** What an answer that is no success says (RFC 9457), and how it is said to a person. */
import type { components } from './schema.d.ts';

export type Problem = components['schemas']['Problem'];

/** One sentence for a person, of whatever was thrown. */
export function sentence(error: unknown): string {
  if (isProblem(error)) return error.detail || error.title;
  return error instanceof TypeError ? 'The server cannot be reached.' : 'Something went wrong.';
}

export function isProblem(error: unknown): error is Problem {
  return typeof error === 'object' && error !== null && 'title' in error && 'status' in error;
}
