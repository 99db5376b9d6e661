/** What the server tells the page: where it is mounted, and the nonce of its styles. */
interface Boot {
  /** URL path that the whole install is mounted at; often empty. */
  root: string;
  /** URL path of the dashboard, `root` included. */
  base: string;
  /** Nonce of the Content-Security-Policy for styles made at run time. */
  nonce: string;
  version: string;
}

const fallback: Boot = { root: '', base: '/dashboard/admin/enterprise', nonce: '', version: 'dev' };
const told = document.querySelector<HTMLMetaElement>('meta[name="custodes"]')?.content;

export const boot: Boot = { ...fallback, ...(JSON.parse(told || '{}') as Partial<Boot>) };
