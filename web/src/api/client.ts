/** The admin API: typed by its OpenAPI document, signed in by the session cookie. */
import createFetchClient, { type Middleware } from 'openapi-fetch';
import { boot } from '../boot.ts';
import { fetchOrTake } from './ahead.ts';
import { noted } from './reach.ts';
import type { components, paths } from './schema.d.ts';
import { csrfToken, signInAgain, whileSignedOut } from './session.ts';

export { isProblem, type Problem, sentence } from './problem.ts';

export type Schemas = components['schemas'];

/** Where the API is, the mount prefix included. */
export const API = `${boot.root}/api/admin/enterprise`;

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Copies of requests that may have to be sent twice: a body can be read once only. */
const copies = new WeakMap<Request, Request>();

async function withToken(request: Request): Promise<Request> {
  if (!SAFE.has(request.method)) request.headers.set('X-CSRF-Token', await csrfToken());
  return request;
}

/** Sends the CSRF token; when the session has ended, asks to sign in over the page and goes on where one was. */
const session: Middleware = {
  async onRequest({ request, schemaPath }) {
    if (schemaPath.endsWith('/login')) return request;
    await whileSignedOut();
    copies.set(request, request.clone());
    return withToken(request);
  },
  async onResponse({ request, response, schemaPath }) {
    if (response.status !== 401 || schemaPath.endsWith('/login')) return response;
    await signInAgain();
    const copy = copies.get(request);
    return copy ? fetch(await withToken(copy)) : response;
  },
};

export const api = createFetchClient<paths>({
  baseUrl: boot.root,
  fetch: (request) => noted(fetchOrTake(request)),
  querySerializer: { array: { style: 'form', explode: true } },
});
api.use(session);
