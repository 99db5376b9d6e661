/**
 * The first script: asks for what the page will show, and has the program that shows it fetched, both at once.
 *
 * So the answers are on their way while a browser still reads the program. What is imported here is small and stays so.
 */
import './mantine.css';
import './ui/base.css';
import { askAhead } from './api/ahead.ts';
import { boot, opened } from './boot.ts';
import { FIRST } from './planes/overview/first.ts';
import { asQuery, DEFAULT_BOUNDS, resolve } from './time/range.ts';
import { parseSearch, stringifySearch, viewSearch } from './view/search.ts';

const API = `${boot.root}/api/admin/enterprise`;

askAhead(`${API}/me`);
if (window.location.pathname.replace(/\/$/, '') === boot.base) {
  const view = viewSearch(parseSearch(window.location.search));
  const bounds = { from: view.from ?? DEFAULT_BOUNDS.from, to: view.to ?? DEFAULT_BOUNDS.to };
  const zone = view.tz ?? 'local';
  const span = resolve(bounds, opened, zone);
  const when = asQuery(span);
  for (const { path, query, timed } of FIRST)
    askAhead(`${API}${path}${stringifySearch({ ...query, ...(timed && when) })}`);
  void import('./planes/overview/Overview.tsx');
  void import('./App.tsx').then(({ start }) => start({ bounds, zone, span, when }));
} else void import('./App.tsx').then(({ start }) => start());
