/** A new signing secret, shown this once. */
import { ShownOnce } from '../../ui/ShownOnce.tsx';

export interface Shown {
  secret: string;
  public_key: string;
}

const TEXT = 'Whoever receives the webhooks verifies them with it (Standard Webhooks). Keep it where secrets are kept.';

export function SecretShown({ shown, onClose }: { shown: Shown | null; onClose: () => void }) {
  const beside = { label: 'Public key', text: shown?.public_key ?? '' };
  const once = shown && { title: 'Signing secret', text: TEXT, secret: shown.secret, beside };
  return <ShownOnce once={once} onClose={onClose} />;
}
