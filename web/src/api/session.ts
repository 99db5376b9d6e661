/** Who is signed in, and what happens when that ends while the page is open. */
import { boot, here } from '../boot.ts';
import { fetchOrTake } from './ahead.ts';
import type { components } from './schema.d.ts';

export type Me = components['schemas']['Me'];

const PLACE = `${boot.root}/api/admin/enterprise`;

let known: Promise<Me> | null = null;
let asking: Promise<void> | null = null;
let ask: (() => Promise<void>) | null = null;

/** Who one is; asked once a session, or `anew`. */
export function me({ anew = false } = {}): Promise<Me> {
  if (anew) known = null;
  known ??= fetchMe().catch((error: unknown) => {
    known = null;
    throw error;
  });
  return known;
}

async function fetchMe(): Promise<Me> {
  const response = await fetchOrTake(new Request(`${PLACE}/me`));
  if (response.status === 401) {
    await signInAgain();
    return me();
  }
  if (!response.ok) throw await response.json();
  return (await response.json()) as Me;
}

/** Sent with every request that changes something; empty without a session cookie of ours. */
export async function csrfToken(): Promise<string> {
  return (await me()).csrf_token ?? '';
}

/** Sign in with user name and password; throws the server's problem when it is refused. */
export async function signIn(username: string, password: string): Promise<Me> {
  const response = await fetch(`${PLACE}/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password }),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw answer;
  known = Promise.resolve(answer as Me);
  return answer as Me;
}

/** End the session and show the login page. */
export async function signOut(): Promise<void> {
  await fetch(`${PLACE}/logout`, { method: 'POST', headers: { 'X-CSRF-Token': await csrfToken() } });
  window.location.assign(`${boot.base}/login`);
}

/** How long the dialog is waited for where a session ends while the page is still being loaded, milliseconds. */
const DIALOG_PATIENCE = 5_000;

let dialogIsHere: () => void;
const dialogCame = new Promise<void>((resolve) => {
  dialogIsHere = resolve;
});

/** The dialog that asks; set by the shell. */
export function onSessionEnd(dialog: () => Promise<void>): void {
  ask = dialog;
  dialogIsHere();
}

/** Wait while somebody is asked to sign in again: what would be asked meanwhile finds no session. */
export function whileSignedOut(): Promise<void> {
  return asking ?? Promise.resolve();
}

/** Wait until somebody has signed in again; all requests that found the session ended share one dialog. */
export function signInAgain(): Promise<void> {
  known = null;
  asking ??= askOrLeave().finally(() => {
    asking = null;
  });
  return asking;
}

async function askOrLeave(): Promise<void> {
  await Promise.race([dialogCame, new Promise((resolve) => setTimeout(resolve, DIALOG_PATIENCE))]);
  if (ask) return ask();
  window.location.assign(`${boot.base}/login?next=${encodeURIComponent(here())}`);
  return new Promise(() => undefined);
}
