import type { ComponentProps } from 'react';

/** A part that scrolls by itself: it has a name and can be reached by keyboard (WCAG 2.1.1). */
export function Scroll(props: ComponentProps<'section'> & { 'aria-label': string }) {
  // biome-ignore lint/a11y/noNoninteractiveTabindex: only what has the focus is scrolled by the arrow keys
  return <section tabIndex={0} {...props} />;
}
