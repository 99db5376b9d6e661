/** Blocks and bans, or the entries of the allow list and the deny list, newest first. */
import { SegmentedControl, Switch } from '@mantine/core';
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { exported } from '../../api/exported.ts';
import { useRows } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { ago, around } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { IconBan } from '../../ui/icons.ts';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint, installUrl } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import { AccessDetail } from './AccessDetail.tsx';
import { type Access, KIND_NAMES } from './model.ts';
import style from './RateLimits.module.css';
import type { RateLimitSearch } from './routes.ts';

const KIND_CHOICES = [
  { value: '', label: 'All' },
  ...['ip', 'user', 'api_key', 'tenant'].map((value) => ({ value, label: KIND_NAMES[value] ?? value })),
];

const EFFECT_CHOICES = [
  { value: '', label: 'Both lists' },
  { value: 'allow', label: 'Allow' },
  { value: 'deny', label: 'Deny' },
];

/** Whether a block stands, and why. */
export function AccessState({ entry }: { entry: Access }) {
  const { now } = useView();
  if (entry.lifted_by) return <StatusBadge state="lifted" tone="plain" />;
  if (entry.ends_at && Date.parse(entry.ends_at) <= now) return <StatusBadge state="ended" tone="plain" />;
  if (entry.effect === 'allow') return <StatusBadge state="allowed" tone="good" />;
  if (entry.effect === 'deny') return <StatusBadge state="denied" />;
  return <StatusBadge state={entry.level > 0 ? `ban, level ${entry.level}` : 'blocked'} tone="bad" />;
}

export function AccessTable({ which }: { which: 'blocks' | 'lists' }) {
  const { kind, ended, effect }: RateLimitSearch = useSearch({ strict: false });
  const set = useSetSearch();
  const { now } = useView();
  const moment = useMoment();
  const blocks = which === 'blocks';
  const wanted = blocks ? { kind, active: ended !== 'yes' } : { kind, effect };
  const { rows, hasMore, loadMore, asked } = useRows(blocks ? '/rate-limits/blocks' : '/rate-limits/lists', wanted, {
    timed: false,
  });
  const columns = useMemo<Column<Access>[]>(
    () => [
      {
        id: 'identifier',
        header: 'Who',
        cell: (row) => <span className="mono">{row.identifier}</span>,
        value: (row) => row.identifier,
        width: 220,
        phone: 0,
      },
      {
        id: 'state',
        header: 'State',
        cell: (row) => <AccessState entry={row} />,
        value: (row) => row.effect,
        width: 130,
        phone: 108,
      },
      {
        id: 'kind',
        header: 'What',
        cell: (row) => KIND_NAMES[row.kind] ?? row.kind,
        value: (row) => row.kind,
        width: 90,
      },
      {
        id: 'reason',
        header: 'Reason',
        cell: (row) => <span title={row.reason}>{row.reason}</span>,
        value: (row) => row.reason,
      },
      { id: 'actor', header: 'By', cell: (row) => row.actor, value: (row) => row.actor, width: 150 },
      {
        id: 'created_at',
        header: 'Since',
        cell: (row) => (
          <time dateTime={row.created_at} title={moment(row.created_at, 'iso')}>
            {ago(row.created_at, now)}
          </time>
        ),
        value: (row) => row.created_at,
        width: 110,
      },
      {
        id: 'ends_at',
        header: 'Ends',
        cell: (row) =>
          row.ends_at ? (
            <time dateTime={row.ends_at} title={moment(row.ends_at, 'iso')}>
              {around(row.ends_at, now)}
            </time>
          ) : (
            'when lifted'
          ),
        value: (row) => row.ends_at ?? '',
        width: 110,
        phone: 104,
      },
      {
        id: 'level',
        header: 'Offence',
        cell: (row) => (row.level > 0 ? row.level : '–'),
        value: (row) => row.level,
        width: 80,
        align: 'right',
      },
    ],
    [moment, now],
  );
  return (
    <>
      <Panel
        title={blocks ? 'Blocks and bans' : 'Allow list and deny list'}
        note={
          blocks
            ? 'every request of them is refused, at once'
            : 'an entry of the allow list wins over limits and blocks'
        }
        of={asked}
        flush
        actions={
          <div className={style.filters}>
            <SegmentedControl
              size="xs"
              data={KIND_CHOICES}
              value={kind ?? ''}
              aria-label="Of which kind"
              onChange={(to) => set({ kind: to || undefined })}
            />
            {blocks ? (
              <Switch
                size="xs"
                label="Also ended"
                checked={ended === 'yes'}
                onChange={(event) => set({ ended: event.currentTarget.checked ? 'yes' : undefined })}
              />
            ) : (
              <SegmentedControl
                size="xs"
                data={EFFECT_CHOICES}
                value={effect ?? ''}
                aria-label="Of which list"
                onChange={(to) => set({ effect: to || undefined })}
              />
            )}
          </div>
        }
        empty={rows.length === 0}
        whenEmpty={
          <Hint
            icon={<IconBan size={28} />}
            title={blocks ? 'Nobody is blocked' : 'Both lists are empty'}
            text={
              blocks
                ? 'Block an address, a network, a user or a key above, or from a script:'
                : 'Add to a list above, or from a script:'
            }
            snippet={
              blocks
                ? `curl -X POST ${installUrl(boot.root)}/api/admin/enterprise/rate-limits/blocks \\\n  -H "X-API-Key: $CUSTODES_KEY" -H "Content-Type: application/json" \\\n  -d '{"identifier": "203.0.113.0/24", "reason": "scraper", "duration_seconds": 86400}'`
                : `curl -X POST ${installUrl(boot.root)}/api/admin/enterprise/rate-limits/lists \\\n  -H "X-API-Key: $CUSTODES_KEY" -H "Content-Type: application/json" \\\n  -d '{"effect": "allow", "identifier": "198.51.100.7", "reason": "monitoring"}'`
            }
          />
        }
      >
        <DataTable
          label={blocks ? 'Blocks and bans' : 'Entries of the lists'}
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          name={blocks ? 'blocks' : 'access-lists'}
          hasMore={hasMore}
          loadMore={loadMore}
          everything={exported(`rate-limits/${which}`, wanted)}
          least={980}
          link={(row, children) => <OpenRow id={row.id}>{children}</OpenRow>}
        />
      </Panel>
      <Opened title={blocks ? 'Block' : 'List entry'} below="/rate-limits/blocks">
        {(id) => <AccessDetail id={id} />}
      </Opened>
    </>
  );
}
