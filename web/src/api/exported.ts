/** Where everything that a list's filters find is streamed from, more than is on screen included. */
import { API } from './client.ts';

export type Format = 'ndjson' | 'csv';

/** The URLs of an export: `exported('api-calls', { ...query, ...when })('csv')`. */
export function exported(list: string, query: object): (format: Format) => string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== '') words.append(name, String(one));
    }
  }
  return (format) => {
    words.set('format', format);
    return `${API}/${list}/export?${words}`;
  };
}
