/** How a tab opens: with the view of one's own choice, else with that for everybody, else as it comes. */
import { useNavigate, useRouter, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { boot } from '../boot.ts';
import { opener } from '../view/saved.ts';
import { lasting, parseSearch, type Raw, stringifySearch } from '../view/search.ts';
import { useSavedViews } from '../view/useSavedViews.ts';
import type { TABS } from './tabs.ts';

type To = (typeof TABS)[number]['to'];

export interface Opening {
  /** Name of the view. */
  name: string;
  href: string;
}

interface Openings {
  /** The view that a tab opens with; null when it opens as it comes. */
  of: (to: To) => Opening | null;
  open: (to: To) => void;
}

export function useOpenings(): Openings {
  const views = useSavedViews().data?.items;
  const search = useSearch({ strict: false }) as Raw;
  const navigate = useNavigate();
  const { history } = useRouter();
  return useMemo(() => {
    function of(to: To): Opening | null {
      const view = opener(views ?? [], to.slice(1) || 'overview');
      return view ? { name: view.name, href: `${boot.base}${withLasting(view.place, search)}` } : null;
    }
    function open(to: To): void {
      const opening = of(to);
      if (opening) history.push(opening.href);
      else void navigate({ to, search: (before) => before });
    }
    return { of, open };
  }, [views, search, navigate, history]);
}

/** A place with what lasts from tab to tab, where the place itself does not say otherwise. */
function withLasting(place: string, search: Raw): string {
  const [path = '', query = ''] = place.split(/\?(.*)/s);
  return `${path}${stringifySearch({ ...lasting(search), ...parseSearch(query) })}`;
}
