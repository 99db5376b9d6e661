/** One thing said in the middle of a place that has nothing else to show. */
import type { ReactNode } from 'react';
import style from './Message.module.css';

interface MessageProps {
  title: string;
  text?: ReactNode;
  tone?: 'plain' | 'bad';
  icon?: ReactNode;
  children?: ReactNode;
}

export function Message({ title, text, tone = 'plain', icon, children }: MessageProps) {
  return (
    <div className={style.message} role={tone === 'bad' ? 'alert' : undefined}>
      {icon && <div className={style.icon}>{icon}</div>}
      <p className={tone === 'bad' ? style.bad : style.title}>{title}</p>
      {text && <div className={style.text}>{text}</div>}
      {children && <div className={style.actions}>{children}</div>}
    </div>
  );
}
