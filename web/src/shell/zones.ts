/** Which zone moments are shown in: the reader's own, that of the tenant, UTC, or the one that a link came with. */
import { useQuery } from '@tanstack/react-query';
import { useCallback, useMemo } from 'react';
import { whoIAm } from '../api/may.ts';
import { type Zone, zoneName, zoneNamed } from '../time/format.ts';
import { useSetSearch, useView } from '../view/view.ts';

interface ZoneChoice {
  zone: Zone;
  /** `Europe/Berlin`. */
  name: string;
  /** Why it is offered. */
  whose: string;
}

interface Zones {
  chosen: Zone;
  choices: readonly ZoneChoice[];
  choose: (zone: Zone) => void;
  /** Go on to the next one, round and round. */
  next: () => void;
}

export function useZones(): Zones {
  const { zone: chosen } = useView();
  const set = useSetSearch();
  const { data } = useQuery(whoIAm);
  const choices = useMemo(() => {
    const found: ZoneChoice[] = [{ zone: 'local', name: zoneName('local'), whose: 'yours' }];
    const tenants = zoneNamed(data?.tenant_time_zone ?? '');
    if (tenants && tenants !== 'utc') found.push({ zone: tenants, name: tenants, whose: "the tenant's" });
    found.push({ zone: 'utc', name: 'UTC', whose: 'for everybody' });
    if (!found.some((one) => one.zone === chosen)) {
      found.push({ zone: chosen, name: zoneName(chosen), whose: 'of the link' });
    }
    return found;
  }, [chosen, data]);
  const choose = useCallback(
    (zone: Zone) => set({ tz: zone === 'local' ? undefined : zone }, { replace: true }),
    [set],
  );
  const next = useCallback(() => {
    const at = choices.findIndex((one) => one.zone === chosen);
    choose(choices[(at + 1) % choices.length]?.zone ?? 'local');
  }, [choices, chosen, choose]);
  return { chosen, choices, choose, next };
}
