/** Who calls: users, API keys, addresses, tenants, the heaviest first. */
import { useMemo } from 'react';
import type { Schemas } from '../../api/client.ts';
import { useTimed } from '../../api/hooks.ts';
import { bytes, compact, count, percent } from '../../time/format.ts';
import { figure } from '../../ui/columns.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconUser } from '../../ui/icons.ts';
import { Row } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint } from '../../ui/Snippet.tsx';
import { share, useFilters } from './model.ts';
import type { TrafficSearch } from './search.ts';
import { ToPart } from './ToPart.tsx';
import { Volume } from './Volume.tsx';

type Consumer = Schemas['ConsumerModel'];

const OTHER = '(other)';

/** Consumers of each kind that are asked for: as many as are kept by name. */
const KEPT = 100;

interface Kind {
  id: string;
  title: string;
  one: string;
  /** The filter that one of them sets. */
  filter: (name: string) => TrafficSearch;
  /** How to have them told apart. */
  snippet: string;
  text: string;
}

/** The lines that tell who calls; the function is the app's. */
function identify(part: string): string {
  return `from custodes import Custodes, Identity\n\n\ndef identify(scope):\n    return Identity(${part})\n\n\ncustodes = Custodes(identify=identify)`;
}

const KINDS: readonly Kind[] = [
  {
    id: 'user',
    title: 'Users',
    one: 'user',
    filter: (user) => ({ user }),
    text: 'Requests get their user when the app tells it:',
    snippet: identify('user=request_user(scope)'),
  },
  {
    id: 'api_key',
    title: 'API keys',
    one: 'API key',
    filter: (api_key) => ({ api_key }),
    text: 'Requests get their key when the app tells its id, never the key itself:',
    snippet: identify('api_key=key_id(scope)'),
  },
  {
    id: 'ip',
    title: 'Addresses',
    one: 'address',
    filter: (client_ip) => ({ client_ip }),
    text: 'Behind a proxy, say which proxies may name the client:',
    snippet: 'custodes = Custodes(trusted_proxies="10.0.0.0/8")',
  },
  {
    id: 'tenant',
    title: 'Tenants',
    one: 'tenant',
    filter: (tenant) => ({ tenant }),
    text: 'All requests are of one tenant until the app tells theirs:',
    snippet: identify('tenant=tenant_of(scope)'),
  },
];

export function Consumers() {
  const { tenant } = useFilters();
  const asked = useTimed('/api-analytics', { endpoints: 1, consumers: KEPT, ...(tenant ? { tenant } : {}) });
  const total = asked.data?.totals.count ?? 0;
  return (
    <>
      <Volume />
      <Row least={480}>
        {KINDS.map((kind) => (
          <Crowd key={kind.id} kind={kind} asked={asked} ones={asked.data?.consumers[kind.id] ?? []} total={total} />
        ))}
      </Row>
    </>
  );
}

interface CrowdProps {
  kind: Kind;
  asked: ReturnType<typeof useTimed<'/api-analytics'>>;
  ones: readonly Consumer[];
  total: number;
}

function Crowd({ kind, asked, ones, total }: CrowdProps) {
  const rest = ones.find((one) => one.name === OTHER);
  const columns = useMemo<Column<Consumer>[]>(
    () => [
      {
        id: kind.id,
        header: kind.one[0]?.toUpperCase() + kind.one.slice(1),
        cell: ({ name }) => (name === OTHER ? 'all others' : name),
        value: ({ name }) => name,
      },
      figure('requests', 'Requests', 88, (one) => one.count, compact),
      figure('share', 'Share', 72, (one) => share(one.count, total), percent),
      figure('client_errors', '4xx', 66, (one) => one.client_errors, compact),
      figure('server_errors', '5xx', 62, (one) => one.server_errors, compact),
      figure('limited', 'Refused', 80, (one) => one.limited, compact),
      figure('response_bytes', 'Sent', 80, (one) => one.response_bytes, bytes),
    ],
    [kind, total],
  );
  return (
    <Panel
      title={kind.title}
      note={
        rest
          ? `the heaviest; each count is short by at most ${count(rest.count)}, which “all others” holds`
          : ones.length === 0
            ? undefined
            : ones.length >= KEPT
              ? `the ${KEPT} heaviest`
              : 'all of them, counted exactly'
      }
      of={asked}
      empty={ones.length === 0}
      whenEmpty={
        <Hint icon={<IconUser size={28} />} title={`No ${kind.one} is known`} text={kind.text} snippet={kind.snippet} />
      }
      flush
    >
      <DataTable
        label={kind.title}
        name={`${kind.id}s`}
        columns={columns}
        rows={ones}
        rowId={(one) => one.name}
        height={330}
        least={550}
        link={(one, children) =>
          one.name === OTHER ? (
            children
          ) : (
            <ToPart change={{ ...kind.filter(one.name), part: kind.id === 'tenant' ? 'performance' : 'calls' }}>
              {children}
            </ToPart>
          )
        }
      />
    </Panel>
  );
}
