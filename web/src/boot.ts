/** What the server tells the page: where it is mounted, and the nonce of its styles. */
interface Boot {
  /** URL path that the whole install is mounted at; often empty. */
  root: string;
  /** URL path of the dashboard, `root` included. */
  base: string;
  /** Nonce of the Content-Security-Policy for styles made at run time. */
  nonce: string;
  version: string;
  /** Where people sign in, when that is elsewhere: place below `base`, and whose it is. */
  elsewhere: { place: string; name: string } | null;
}

const fallback: Boot = { root: '', base: '/dashboard/admin/enterprise', nonce: '', version: 'dev', elsewhere: null };
const told = document.querySelector<HTMLMetaElement>('meta[name="custodes"]')?.content;

/** When the page was opened, milliseconds since the epoch: what it asks first is about this moment. */
export const opened = Date.now();

export const boot: Boot = { ...fallback, ...(JSON.parse(told || '{}') as Partial<Boot>) };

/** The place that is shown: path below the dashboard, with the query. */
export function here(): string {
  return `${window.location.pathname.slice(boot.base.length)}${window.location.search}`;
}
