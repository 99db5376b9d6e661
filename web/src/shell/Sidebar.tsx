import { Link, useMatchRoute, useRouter } from '@tanstack/react-router';
import { IconSettings } from '../ui/icons.ts';
import { isPlainClick } from '../view/links.ts';
import { type Opening, useOpenings } from './opening.ts';
import style from './Sidebar.module.css';
import { TABS } from './tabs.ts';

/** Below the tabs: what is set, not what is watched. */
const SETTINGS = { to: '/settings', label: 'Settings', short: 'Settings', icon: IconSettings } as const;

export function Sidebar() {
  const openings = useOpenings();
  return (
    <div className={style.bar}>
      <div className={style.brand}>
        <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
          <path d="M16 2 28 7v9c0 7-5 12-12 14C9 28 4 23 4 16V7z" className={style.shield} />
          <circle cx="16" cy="15" r="5" fill="none" stroke="#fff" strokeWidth="3" />
        </svg>
        <span className={style.name}>Custodes</span>
      </div>
      <nav aria-label="Tabs" className={style.main}>
        <ul className={style.tabs}>
          {TABS.map((tab) => (
            <li key={tab.to}>
              <TabLink tab={tab} opening={openings.of(tab.to)} />
            </li>
          ))}
        </ul>
      </nav>
      <nav aria-label="Settings" className={style.foot}>
        <TabLink tab={SETTINGS} opening={null} />
      </nav>
    </div>
  );
}

interface TabLinkProps {
  tab: (typeof TABS)[number] | typeof SETTINGS;
  opening: Opening | null;
}

function TabLink({ tab: { to, label, short, icon: Icon }, opening }: TabLinkProps) {
  const { history } = useRouter();
  const isShown = useMatchRoute()({ to, fuzzy: to !== '/' }) !== false;
  const shown = (
    <>
      <Icon size={19} stroke={1.7} aria-hidden="true" />
      <span className={style.label}>{label}</span>
      <span className={style.short} aria-hidden="true">
        {short}
      </span>
    </>
  );
  if (!opening)
    return (
      <Link
        to={to}
        className={style.tab}
        activeProps={{ className: style.active, 'aria-current': 'page' }}
        activeOptions={{ exact: to === '/', includeSearch: false }}
      >
        {shown}
      </Link>
    );
  return (
    <a
      href={opening.href}
      className={isShown ? `${style.tab} ${style.active}` : style.tab}
      aria-current={isShown ? 'page' : undefined}
      title={`Opens with ${opening.name}`}
      onClick={(event) => {
        if (!isPlainClick(event)) return;
        event.preventDefault();
        history.push(opening.href);
      }}
    >
      {shown}
    </a>
  );
}
