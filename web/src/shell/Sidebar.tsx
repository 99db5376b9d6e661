import { Link } from '@tanstack/react-router';
import style from './Sidebar.module.css';
import { TABS } from './tabs.ts';

export function Sidebar() {
  return (
    <nav className={style.bar} aria-label="Tabs">
      <div className={style.brand}>
        <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
          <path d="M16 2 28 7v9c0 7-5 12-12 14C9 28 4 23 4 16V7z" className={style.shield} />
          <circle cx="16" cy="15" r="5" fill="none" stroke="#fff" strokeWidth="3" />
        </svg>
        <span className={style.name}>Custodes</span>
      </div>
      <ul className={style.tabs}>
        {TABS.map(({ to, label, short, icon: Icon }) => (
          <li key={to}>
            <Link
              to={to}
              className={style.tab}
              activeProps={{ className: style.active, 'aria-current': 'page' }}
              activeOptions={{ exact: to === '/', includeSearch: false }}
            >
              <Icon size={19} stroke={1.7} aria-hidden="true" />
              <span className={style.label}>{label}</span>
              <span className={style.short} aria-hidden="true">
                {short}
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
