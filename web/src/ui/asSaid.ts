/** Where a function within another was written, as Python tells it. */
const WITHIN = /[\w.]{0,200}<locals>\./g;

/** Names of functions as one says them: `shop.handlers.<locals>.paid` is `paid`; also within what was raised. */
export function asSaid(text: string): string {
  return text.includes('<locals>') ? text.replace(WITHIN, '') : text;
}
