/** Links that the page follows itself. */
import type { MouseEvent } from 'react';

/** Whether a click on a link is for the page: not one that opens the link beside it, or saves it. */
export function isPlainClick(event: MouseEvent): boolean {
  return event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
}
