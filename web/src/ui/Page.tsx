/** A page of the dashboard: its title, what belongs beside it, and its panels. */
import { type ReactNode, useEffect } from 'react';
import style from './Page.module.css';

interface PageProps {
  title: string;
  /** Beside the title: what can be done on the whole page. */
  actions?: ReactNode;
  children: ReactNode;
}

export function Page({ title, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Custodes`;
  }, [title]);
  return (
    <>
      <div className={style.head}>
        <h1 className={style.title}>{title}</h1>
        {actions && <div className={style.actions}>{actions}</div>}
      </div>
      <div className={style.body}>{children}</div>
    </>
  );
}

/** Panels side by side; each says how wide it wants to be by the class of `Panel`. */
export function Row({ children, least = 320 }: { children: ReactNode; least?: number }) {
  return (
    <div className={style.row} style={{ '--least': `${least}px` } as React.CSSProperties}>
      {children}
    </div>
  );
}
