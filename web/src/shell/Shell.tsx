/** What is around every page: the tabs, the time range, and what can be reached from everywhere. */
import { Outlet } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { useBeganWithin } from '../api/recording.ts';
import { useLiveConnection } from '../live/source.ts';
import { Began } from '../ui/began.ts';
import { useView } from '../view/view.ts';
import { useKeys } from './keys.ts';
// Not lazy: what is typed right after Ctrl K must reach it.
import { Palette } from './Palette.tsx';
import style from './Shell.module.css';
import { Sidebar } from './Sidebar.tsx';
import { TopBar } from './TopBar.tsx';
import { usePace } from './usePace.ts';

// Fetched right after the first paint: they must be there before the session ends, and before the server does not
// answer; nobody waits for them.
const LoginDialog = lazy(() => import('./LoginDialog.tsx').then((module) => ({ default: module.LoginDialog })));
const Unanswered = lazy(() => import('./Unanswered.tsx').then((module) => ({ default: module.Unanswered })));
const KeySheet = lazy(() => import('./KeySheet.tsx').then((module) => ({ default: module.KeySheet })));

export type Overlay = 'palette' | 'keys' | null;

export function Shell() {
  const [overlay, setOverlay] = useState<Overlay>(null);
  const view = useView();
  usePace(view);
  useLiveConnection(view.live);
  useKeys(setOverlay);
  return (
    <div className={style.shell}>
      <a href="#page" className={style.skip}>
        Skip to the page
      </a>
      <Sidebar />
      <div className={style.main}>
        <TopBar onOverlay={setOverlay} />
        <main id="page" tabIndex={-1} className={style.page}>
          <Began.Provider value={useBeganWithin()}>
            <Outlet />
          </Began.Provider>
        </main>
      </div>
      <Suspense>
        <LoginDialog />
        <Unanswered />
      </Suspense>
      <Suspense>
        {overlay === 'palette' && <Palette onClose={() => setOverlay(null)} onOverlay={setOverlay} />}
        {overlay === 'keys' && <KeySheet onClose={() => setOverlay(null)} />}
      </Suspense>
    </div>
  );
}
