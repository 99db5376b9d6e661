/** What the command palette offers. */
import { useMantineColorScheme } from '@mantine/core';
import { useNavigate, useRouter } from '@tanstack/react-router';
import { boot } from '../boot.ts';
import { PRESETS, parseTyped, relativeLabel } from '../time/range.ts';
import {
  type Icon,
  IconArrowsDiff,
  IconBookmark,
  IconCalendarClock,
  IconKeyboard,
  IconLivePhoto,
  IconMoon,
  IconRoute,
  IconSearch,
  IconSun,
  IconWorld,
} from '../ui/icons.ts';
import { lasting, type Raw } from '../view/search.ts';
import { useSavedViews } from '../view/useSavedViews.ts';
import { useSetRange, useSetSearch, useView } from '../view/view.ts';
import { type Finding, named, PLACES, worded } from './findings.ts';
import { useOpenings } from './opening.ts';
import type { Overlay } from './Shell.tsx';
import { TABS } from './tabs.ts';
import { useZones } from './zones.ts';

export interface Command {
  id: string;
  label: string;
  hint?: string;
  icon: Icon;
  /** Shown whatever is typed: it was made of what is typed. */
  always?: boolean;
  run: () => void;
}

export function useCommands(typed: string, open: (overlay: Overlay) => void): Command[] {
  const view = useView();
  const set = useSetSearch();
  const setRange = useSetRange();
  const navigate = useNavigate();
  const { history } = useRouter();
  const saved = useSavedViews().data?.items ?? [];
  const openings = useOpenings();
  const zones = useZones();
  const { setColorScheme } = useMantineColorScheme();
  const commands: Command[] = [];
  const place = (hint: string, icon: Icon, always?: boolean) => (found: Finding) => ({
    id: found.id,
    label: found.label,
    hint,
    icon,
    ...(always ? { always } : {}),
    // The range and the zone of the page, but none of its filters.
    run: () =>
      void navigate({ to: found.to, search: ((kept: Raw) => ({ ...lasting(kept), ...found.search })) as never }),
  });
  commands.push(...named(typed).map(place('find', IconSearch, true)));
  const range = typed.trim() ? parseTyped(typed, view.zone) : null;
  if (range) {
    const label = relativeLabel(range) ?? `${range.from} to ${range.to}`;
    commands.push({
      id: 'range',
      label,
      hint: 'time range',
      icon: IconCalendarClock,
      always: true,
      run: () => setRange(range),
    });
  }
  for (const tab of TABS) {
    const run = () => openings.open(tab.to);
    commands.push({ id: tab.to, label: tab.label, hint: tab.key, icon: tab.icon, run });
  }
  for (const { id, name, place, mine, made_by } of saved) {
    const run = () => history.push(`${boot.base}${place}`);
    const hint = mine || !made_by ? 'saved view' : `view of ${made_by}`;
    commands.push({ id: `view-${id}`, label: name, hint, icon: IconBookmark, run });
  }
  commands.push(
    ...PLACES.map(place('page', IconRoute)),
    {
      id: 'compare',
      label: view.before ? 'Do not compare' : 'Compare with the period before',
      hint: 'C',
      icon: IconArrowsDiff,
      run: () => set({ compare: view.before ? undefined : 'previous' }),
    },
    {
      id: 'live',
      label: view.live ? 'Live off' : 'Live on',
      hint: 'L',
      icon: IconLivePhoto,
      run: () => set({ live: view.live ? 'off' : undefined }, { replace: true }),
    },
    ...zones.choices
      .filter(({ zone }) => zone !== zones.chosen)
      .map(({ zone, name, whose }) => ({
        id: `zone-${zone}`,
        label: zone === 'local' ? 'Times in your zone' : `Times in ${name}`,
        hint: whose,
        icon: IconWorld,
        run: () => zones.choose(zone),
      })),
    { id: 'light', label: 'Light', hint: 'theme', icon: IconSun, run: () => setColorScheme('light') },
    { id: 'dark', label: 'Dark', hint: 'theme', icon: IconMoon, run: () => setColorScheme('dark') },
    { id: 'keys', label: 'Keys', hint: '?', icon: IconKeyboard, run: () => open('keys') },
  );
  for (const preset of PRESETS) {
    const run = () => setRange({ from: preset.from, to: preset.to ?? 'now' });
    commands.push({ id: preset.label, label: preset.label, hint: 'time range', icon: IconCalendarClock, run });
  }
  commands.push(...worded(typed).map(place('find', IconSearch, true)));
  return commands;
}
