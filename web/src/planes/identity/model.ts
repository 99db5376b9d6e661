import type { QueryClient } from '@tanstack/react-query';
import type { Schemas } from '../../api/client.ts';
import type { Happening } from '../../live/source.ts';
import { millis } from '../../time/format.ts';
import type { Tone } from '../../ui/palette.ts';

export type Profile = Schemas['ProfileModel'];
export type ApiKey = Schemas['ApiKeyModel'];
export type Role = Profile['role'];

/** What the panels ask again when somebody, a key or a session has changed. */
export const KEYS = [['/user-profiles'], ['/user-profiles/{profile_id}'], ['/api-keys'], ['/sessions']] as const;

/** Each change of these is an entry of the trail, and the trail is told live. */
export const concerns = (event: Happening): boolean =>
  /user|role|api_key|auth|session/.test(`${event.kind} ${event.title}`);

export function askAgain(queries: QueryClient): void {
  for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
}

export const ROLE_CHOICES: { value: Role; label: string }[] = [
  { value: 'owner', label: 'Owner: also says who else may' },
  { value: 'admin', label: 'Admin: reads and acts everywhere' },
  { value: 'member', label: 'Member: is known by name, may see nothing here' },
];

/** What a new user or key may unless it is chosen: the least, so that more is given on purpose. */
export const LEAST: Role = 'member';

/** Roles that one who has this role may give: never more than one's own. */
export function grantable(mine: Role | undefined): typeof ROLE_CHOICES {
  const at = ROLE_CHOICES.findIndex((one) => one.value === mine);
  return at < 0 ? [] : ROLE_CHOICES.slice(at);
}

/** Whether a key works at this moment, and why not. */
export function stateOf(key: Pick<ApiKey, 'revoked_at' | 'expires_at'>, now: number): { label: string; tone: Tone } {
  if (key.revoked_at) return { label: 'revoked', tone: 'plain' };
  if (key.expires_at && millis(key.expires_at) <= now) return { label: 'expired', tone: 'plain' };
  return { label: 'works', tone: 'good' };
}
