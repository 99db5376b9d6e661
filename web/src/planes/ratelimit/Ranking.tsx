/** Rules, endpoints or identifiers by how often they were refused. */
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Schemas } from '../../api/client.ts';
import { exported } from '../../api/exported.ts';
import { count } from '../../time/format.ts';
import { AccessButton } from '../../ui/AccessButton.tsx';
import { figure } from '../../ui/columns.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { IconCircleCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { type Asked, Panel } from '../../ui/Panel.tsx';
import { useView } from '../../view/view.ts';
import { CALLS_BY, parted } from './model.ts';

type Total = Schemas['TotalModel'];

interface RankingProps {
  title: string;
  note: string;
  asked: Asked;
  rows: readonly Total[] | undefined;
  kind: 'rule' | 'endpoint' | 'ip' | 'user' | 'api_key';
}

const HEADERS: Record<RankingProps['kind'], string> = {
  rule: 'Rule',
  endpoint: 'Endpoint',
  ip: 'Address',
  user: 'User',
  api_key: 'API key',
};

export function Ranking({ title, note, asked, rows = [], kind }: RankingProps) {
  const { when } = useView();
  const hit = useMemo(() => rows.filter((row) => row.refused + row.would_refuse > 0), [rows]);
  const shadowed = hit.some((row) => row.would_refuse > 0);
  const person = kind === 'ip' || kind === 'user' || kind === 'api_key';
  const columns = useMemo<Column<Total>[]>(() => {
    const name = (row: Total) => (person ? parted(row.label)[1] : row.label);
    const found: Column<Total>[] = [
      {
        id: kind,
        header: HEADERS[kind],
        cell: (row) => (
          <span className="mono" title={name(row)}>
            {name(row)}
          </span>
        ),
        value: name,
      },
      figure('refused', 'Refused', 72, (row) => row.refused, count),
    ];
    // Of a column of nothing but zeros nobody learns anything, and on a phone it would push the button out of sight.
    if (shadowed) found.push(figure('would_refuse', 'Shadow', 70, (row) => row.would_refuse, count));
    if (!person) found.push(figure('allowed', 'Admitted', 84, (row) => row.allowed, count));
    else {
      found.push({
        id: 'action',
        header: '',
        cell: (row) => <AccessButton effect="block" kind={kind} identifier={name(row)} compact />,
        width: 104,
      });
    }
    return found;
  }, [kind, person, shadowed]);
  return (
    <Panel
      title={title}
      note={note}
      of={asked}
      flush
      empty={hit.length === 0}
      whenEmpty={<Message icon={<IconCircleCheck size={26} />} title="Nothing was refused" />}
    >
      <DataTable
        label={`${title} by refusals`}
        columns={columns}
        rows={hit}
        rowId={(row) => row.label}
        name={`refused-${kind}`}
        height={300}
        everything={exported('rate-limits/windows', { refused_only: true, ...when })}
        whole="every window with a refusal"
        least={(person ? 290 : 270) + (shadowed ? 70 : 0)}
        link={(row, children) =>
          kind === 'rule' ? (
            <Link to="/rate-limits" search={((kept: object) => ({ ...kept, view: 'rules', open: row.label })) as never}>
              {children}
            </Link>
          ) : (
            <Link
              to="/api"
              search={{ part: 'calls', [CALLS_BY[kind] ?? 'q']: person ? parted(row.label)[1] : row.label } as never}
            >
              {children}
            </Link>
          )
        }
      />
    </Panel>
  );
}
