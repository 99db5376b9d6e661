import { Fragment, type ReactNode } from 'react';
import style from './KeyValue.module.css';

/** Names and values, one below the other. What has no value is left out. */
export function KeyValue({ of }: { of: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className={style.list}>
      {of
        .filter(([, value]) => value !== null && value !== undefined && value !== '')
        .map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
    </dl>
  );
}
