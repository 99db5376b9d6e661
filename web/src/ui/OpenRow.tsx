import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

/** The link of a row: the same view with this one open. */
export function OpenRow({ id, children }: { id: string; children: ReactNode }) {
  return (
    <Link to="." search={((kept: object) => ({ ...kept, open: id })) as never} resetScroll={false}>
      {children}
    </Link>
  );
}
