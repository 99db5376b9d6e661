/** Parts of a tab, as links: each has its address, so that it can be shared and opened beside. */
import { Link } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import style from './SubTabs.module.css';

interface SubTabsProps {
  label: string;
  /** Path of the tab. */
  to: string;
  /** Parameter of the URL that says which part is shown. */
  param: string;
  /** The parts; the first is shown when the URL names none. One with a path of its own (`to`) is a page beside them. */
  tabs: readonly { id: string; label: string; to?: string }[];
  /** The one that is shown. */
  current: string;
  /** What of the URL goes along to another part; all of it unless told. */
  keep?: (search: Record<string, unknown>) => Record<string, unknown>;
}

export function SubTabs({ label, to, param, tabs, current, keep = (search) => search }: SubTabsProps) {
  const bar = useRef<HTMLElement>(null);
  // On a narrow screen the bar scrolls: the part that is shown is in sight.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another part, another place
  useEffect(() => {
    const shown = bar.current?.querySelector<HTMLElement>('[aria-current=page]');
    if (bar.current && shown)
      bar.current.scrollLeft = shown.offsetLeft - (bar.current.clientWidth - shown.offsetWidth) / 2;
  }, [current]);
  return (
    <nav ref={bar} className={style.tabs} aria-label={label}>
      {tabs.map(({ id, label: name, to: own }, at) => (
        <Link
          key={id}
          to={own ?? to}
          search={
            ((kept: Record<string, unknown>) => ({
              ...keep(kept),
              [param]: at === 0 || own ? undefined : id,
              open: undefined,
            })) as never
          }
          resetScroll={false}
          className={style.tab}
          aria-current={id === current ? 'page' : undefined}
          // By the path alone, or by a part of the query, the first would always be current as well.
          activeOptions={{ exact: true, includeSearch: true }}
        >
          {name}
        </Link>
      ))}
    </nav>
  );
}
