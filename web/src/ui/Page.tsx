/** A page of the dashboard: its title, what belongs beside it, and its panels. */
import { useLocation, useSearch } from '@tanstack/react-router';
import { type ReactNode, useEffect } from 'react';
import { narrowed, type Raw } from '../view/search.ts';
import { IconArrowLeft } from './icons.ts';
import style from './Page.module.css';

interface PageProps {
  title: string;
  /** Which part of it is shown: tells its parts apart in the browser's tabs and in its history. */
  part?: string;
  /** Parameters of the URL that narrow what is shown, for the same. */
  by?: readonly string[];
  /** Above the title: the link to what this is one of. */
  back?: ReactNode;
  /** Beside the title: what can be done on the whole page. */
  actions?: ReactNode;
  children: ReactNode;
}

export function Page({ title, part = '', by = [], back, actions, children }: PageProps) {
  const path = useLocation({ select: ({ pathname }) => pathname });
  const which = back ? lastOf(path) : '';
  const only = narrowed(useSearch({ strict: false }) as Raw, by);
  useEffect(() => {
    // Of one of many, which: tabs of a browser and its history are told apart.
    const told = which && !title.toLowerCase().includes(which) ? `${title} ${which}` : title;
    // What differs first: a tab shows little more than the begin.
    document.title = [only, part, told, 'Custodes'].filter(Boolean).join(' · ');
  }, [title, which, part, only]);
  return (
    <>
      <div className={style.head}>
        <div className={style.name}>
          {back && (
            <p className={style.back}>
              <IconArrowLeft size={14} aria-hidden="true" />
              {back}
            </p>
          )}
          <h1 className={style.title}>{title}</h1>
        </div>
        {actions && <div className={style.actions}>{actions}</div>}
      </div>
      <div className={style.body}>{children}</div>
    </>
  );
}

/** Last part of a path, as one reads it. */
function lastOf(path: string): string {
  const last = path.split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/** Panels side by side; each says how wide it wants to be by the class of `Panel`. */
export function Row({ children, least = 320 }: { children: ReactNode; least?: number }) {
  return (
    <div className={style.row} style={{ '--least': `${least}px` } as React.CSSProperties}>
      {children}
    </div>
  );
}
