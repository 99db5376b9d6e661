/** Views that are kept under a name, by the server: a view is its address, so a name for one is all there is to keep. */
import type { components } from '../api/schema.d.ts';

export type SavedView = components['schemas']['SavedViewModel'];

/** How long a name may be. */
export const LONGEST_NAME = 60;

/** Who sees a view, and for whom its tab opens with it. */
export function toldOf(view: SavedView): string {
  const seen = !view.shared
    ? 'Only you see it'
    : `Shared by ${view.mine ? 'you' : view.made_by || 'somebody who is gone'}`;
  const opensFor = [view.my_default && 'you', view.shared_default && 'everybody'].filter(Boolean);
  return opensFor.length > 0 ? `${seen}, opens its tab for ${opensFor.join(' and ')}` : seen;
}

/** The view that a tab opens with: one's own choice before what is chosen for everybody. */
export function opener(views: readonly SavedView[], tab: string): SavedView | undefined {
  const of = views.filter((view) => view.tab === tab);
  return of.find((view) => view.my_default) ?? of.find((view) => view.shared_default);
}

/** A name like this one that is not taken. */
export function freeName(name: string, taken: readonly string[]): string {
  let found = name.trim().slice(0, LONGEST_NAME);
  for (let number = 2; taken.includes(found); number++) {
    const end = ` (${number})`;
    found = `${name.trim().slice(0, LONGEST_NAME - end.length)}${end}`;
  }
  return found;
}
