/**
 * The first script: asks for what the page will show, and has the program that shows it fetched, both at once.
 *
 * So the answers are on their way while a browser still reads the program. What is imported here is small and stays so.
 */
import './mantine.css';
import './ui/base.css';
import { askAhead } from './api/ahead.ts';
import { beside } from './api/beside.ts';
import { boot, opened } from './boot.ts';
import { FIRST } from './planes/overview/first.ts';
import { asQuery, DEFAULT_BOUNDS, previous, resolve } from './time/range.ts';
import { parseSearch, stringifySearch, viewSearch } from './view/search.ts';

const API = `${boot.root}/api/admin/enterprise`;

askAhead(`${API}/me`);
if (window.location.pathname.replace(/\/$/, '') === boot.base) {
  const view = viewSearch(parseSearch(window.location.search));
  const bounds = { from: view.from ?? DEFAULT_BOUNDS.from, to: view.to ?? DEFAULT_BOUNDS.to };
  const zone = view.tz ?? 'local';
  const span = resolve(bounds, opened, zone);
  const when = asQuery(span);
  const before = view.compare === 'previous' ? asQuery(previous(span)) : null;
  for (const { path, query, timed } of FIRST) {
    const asked = timed ? { ...when, ...beside(path, before?.since) } : {};
    askAhead(`${API}${path}${stringifySearch({ ...query, ...asked })}`);
  }
  void import('./planes/overview/Overview.tsx');
  void import('./App.tsx').then(({ start }) => start({ bounds, zone, span, when, before }));
} else void import('./App.tsx').then(({ start }) => start());
