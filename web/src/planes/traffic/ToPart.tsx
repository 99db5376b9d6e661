/** A link to a part of this tab that takes the time range and the filters along. */
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { TrafficSearch } from './search.ts';
import style from './Traffic.module.css';

export function ToPart({ change, children, title }: { change: TrafficSearch; children: ReactNode; title?: string }) {
  return (
    <Link
      to="/api"
      search={((kept: object) => ({ ...kept, open: undefined, ...change })) as never}
      className={style.link}
      title={title}
    >
      {children}
    </Link>
  );
}
