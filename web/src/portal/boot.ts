/** What the server tells the page: where it is, and whose it is. */
interface Boot {
  /** URL path of the portal, the mount prefix included. */
  base: string;
  /** Nonce of the Content-Security-Policy for styles made at run time. */
  nonce: string;
  /** The vendor's name; may be empty. */
  name: string;
  /** The vendor's colour, `#rrggbb`; may be empty. */
  colour: string;
}

const told = document.querySelector<HTMLMetaElement>('meta[name="custodes"]')?.content;

export const boot: Boot = {
  base: '/portal/webhooks',
  nonce: '',
  name: '',
  colour: '',
  ...(JSON.parse(told || '{}') as Partial<Boot>),
};
