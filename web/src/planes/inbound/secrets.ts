/** The signing secrets of all sources, one by one. */
import type { Source } from './model.ts';

export type Secret = Source['secrets'][number] & {
  source: string;
  /** Which of them: `2 of 2 (older)`. */
  which: string;
  /** All of it. */
  told: string;
};

export function secretsOf(sources: readonly Source[]): Secret[] {
  return sources.flatMap(({ name, secrets }) =>
    secrets.map((secret) => {
      const age = secrets.length === 1 ? '' : secret.place === 1 ? ' (newest)' : ' (older)';
      const which = `${secret.place} of ${secrets.length}${age}`;
      return { ...secret, source: name, which, told: `Secret ${which} of ${name}: ${secret.summary}` };
    }),
  );
}
