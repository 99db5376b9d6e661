/** The portal's own API: typed by its OpenAPI document, signed in by the cookie of an opened link. */
import createFetchClient from 'openapi-fetch';
import { boot } from './boot.ts';
import type { components, paths } from './schema.d.ts';
import { setTenantZone } from './zone.ts';

type Schemas = components['schemas'];
export type Session = Schemas['PortalSessionModel'];
export type Endpoint = Schemas['CustomerEndpoint'];
/** One of the list, with how it is. */
export type Listed = Schemas['ListedEndpoint'];
export type Created = Schemas['CreatedEndpoint'];
export type Health = Schemas['HealthModel'];
export type Delivery = Schemas['CustomerDelivery'];
export type DeliveryInFull = Schemas['CustomerDeliveryInFull'];
export type CatalogueEntry = Schemas['CatalogueEntry'];

let csrf = '';

export const api = createFetchClient<paths>({ baseUrl: boot.base });
api.use({
  onRequest({ request }) {
    if (request.method !== 'GET') request.headers.set('X-CSRF-Token', csrf);
    return request;
  },
});

/** The answer of a request; throws the server's problem. */
export async function sent<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw error ?? { title: response.statusText, status: response.status };
  return data as T;
}

/** The token behind the `#`: taken out of the address at once, so that it stays in no history. */
export function takeToken(): string {
  const token = window.location.hash.slice(1);
  if (token) window.history.replaceState(null, '', window.location.pathname + window.location.search);
  return token;
}

/** Open the link with its token, or go on with the one that was opened before. */
export async function openSession(token: string): Promise<Session> {
  const session = await sent(token ? api.POST('/api/session', { body: { token } }) : api.GET('/api/session'));
  csrf = session.csrf_token;
  setTenantZone(session.time_zone);
  return session;
}
