/** A link to a part of this tab that takes the time range and the filters along. */
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { TrafficSearch } from './search.ts';
import style from './Traffic.module.css';

interface ToPartProps {
  change: TrafficSearch;
  /** It is all of something, whatever the view is narrowed to: the filters stay behind. */
  whole?: boolean;
  children: ReactNode;
  title?: string;
}

export function ToPart({ change, whole = false, children, title }: ToPartProps) {
  return (
    <Link
      to="/api"
      search={(whole ? change : (kept: object) => ({ ...kept, open: undefined, ...change })) as never}
      className={style.link}
      title={title}
    >
      {children}
    </Link>
  );
}
