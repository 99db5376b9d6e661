/** How views that are kept are asked for, and what one does with them. */
import { type UseQueryResult, useQueryClient } from '@tanstack/react-query';
import { api, type Schemas } from '../api/client.ts';
import { type Answer, sent, useGet } from '../api/hooks.ts';

const KEY = '/saved-views';
const VIEWS = '/api/admin/enterprise/saved-views';
const VIEW = '/api/admin/enterprise/saved-views/{id}';

/** More than the server keeps for one person: their own and those that are shared, all of them in one answer. */
const ALL = 200;

/** One's own views and those that others share, newest first. */
export function useSavedViews(): UseQueryResult<Answer<typeof KEY>> {
  return useGet(KEY, { limit: ALL });
}

/** What one does with views; each throws the server's problem. */
export function useViewChanges() {
  const queries = useQueryClient();
  async function done(call: Parameters<typeof sent>[0]): Promise<void> {
    await sent(call);
    await queries.invalidateQueries({ queryKey: [KEY] });
  }
  const at = (id: string) => ({ params: { path: { id } } });
  return {
    keep: (name: string, place: string) => done(api.POST(VIEWS, { body: { name, place, shared: false } })),
    change: (id: string, body: Schemas['SavedViewChange']) => done(api.PATCH(VIEW, { ...at(id), body })),
    remove: (id: string) => done(api.DELETE(VIEW, at(id))),
    openForMe: (id: string, on: boolean) =>
      done(on ? api.PUT(`${VIEW}/default`, at(id)) : api.DELETE(`${VIEW}/default`, at(id))),
    openForAll: (id: string, on: boolean) =>
      done(on ? api.PUT(`${VIEW}/shared-default`, at(id)) : api.DELETE(`${VIEW}/shared-default`, at(id))),
  };
}
