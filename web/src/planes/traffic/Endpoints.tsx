import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { IconRoute } from '../../ui/icons.ts';
import { Panel } from '../../ui/Panel.tsx';
import { Hint, installUrl } from '../../ui/Snippet.tsx';
import { EndpointTable } from './EndpointTable.tsx';
import { useFigureQuery } from './model.ts';

/** Every endpoint of the stretch, the busiest first; sorted by any column. */
export function Endpoints() {
  const { query } = useFigureQuery();
  const { tenant, route, method } = query as { tenant?: string; route?: string; method?: string };
  const scope = tenant ? { tenant } : {};
  const narrowed = { ...scope, ...(route ? { route } : {}), ...(method ? { method } : {}) };
  const asked = useTimed('/api-analytics', { ...narrowed, endpoints: 500, consumers: 1 });
  const all = useTimed('/api-analytics', { ...scope, endpoints: 1, consumers: 1 });
  const endpoints = useMemo(() => asked.data?.endpoints ?? [], [asked.data]);
  return (
    <Panel
      title="Endpoints"
      note="the busiest first, at most 500; one leads to its figures"
      of={[asked, all]}
      empty={endpoints.length === 0}
      whenEmpty={
        <Hint
          icon={<IconRoute size={28} />}
          title="No endpoint was called"
          text="Call your app once, and its endpoint is here in two seconds:"
          snippet={`curl ${installUrl(boot.root)}/`}
        />
      }
      flush
    >
      <EndpointTable label="Endpoints" name="endpoints" endpoints={endpoints} totals={all.data?.totals} height={640} />
    </Panel>
  );
}
