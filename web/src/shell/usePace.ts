import { useEffect } from 'react';
import { setPace } from '../time/now.ts';
import type { View } from '../view/view.ts';

/** Have the page's now move as fast as the view needs, or stand still. */
export function usePace(view: View): void {
  const { from, to } = view.span;
  const shown = to - from;
  useEffect(() => setPace(shown, view.live), [shown, view.live]);
}
