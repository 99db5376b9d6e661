/** A page of the dashboard: its title, what belongs beside it, and its panels. */
import { useLocation } from '@tanstack/react-router';
import { type ReactNode, useEffect } from 'react';
import { IconArrowLeft } from './icons.ts';
import style from './Page.module.css';

interface PageProps {
  title: string;
  /** Above the title: the link to what this is one of. */
  back?: ReactNode;
  /** Beside the title: what can be done on the whole page. */
  actions?: ReactNode;
  children: ReactNode;
}

export function Page({ title, back, actions, children }: PageProps) {
  const path = useLocation({ select: ({ pathname }) => pathname });
  const which = back ? lastOf(path) : '';
  useEffect(() => {
    // Of one of many, which: tabs of a browser and its history are told apart.
    const told = which && !title.toLowerCase().includes(which) ? `${title} ${which}` : title;
    document.title = `${told} · Custodes`;
  }, [title, which]);
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
