/** Parts of a tab, as links: each has its address, so that it can be shared and opened beside. */
import { Link } from '@tanstack/react-router';
import style from './SubTabs.module.css';

interface SubTabsProps {
  label: string;
  /** Path of the tab. */
  to: string;
  /** Parameter of the URL that says which part is shown. */
  param: string;
  /** The parts; the first is shown when the URL names none. */
  tabs: readonly { id: string; label: string }[];
  /** The one that is shown. */
  current: string;
}

export function SubTabs({ label, to, param, tabs, current }: SubTabsProps) {
  return (
    <nav className={style.tabs} aria-label={label}>
      {tabs.map(({ id, label: name }, at) => (
        <Link
          key={id}
          to={to}
          search={((kept: object) => ({ ...kept, [param]: at === 0 ? undefined : id, open: undefined })) as never}
          resetScroll={false}
          className={style.tab}
          aria-current={id === current ? 'page' : undefined}
          // The part is in the query: by the path alone all of them would be the current one.
          activeOptions={{ includeSearch: true, explicitUndefined: true }}
        >
          {name}
        </Link>
      ))}
    </nav>
  );
}
