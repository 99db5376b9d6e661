import { useMemo } from 'react';
import { bytes, clock, duration, millis } from '../../time/format.ts';
import type { Column } from '../../ui/DataTable.tsx';
import { HttpStatus } from '../../ui/StatusBadge.tsx';
import { useMoment, useView } from '../../view/view.ts';
import type { Call } from './model.ts';
import style from './Traffic.module.css';

/** Columns of a table of calls. */
export function useCallColumns(): readonly Column<Call>[] {
  const { zone, now } = useView();
  const moment = useMoment();
  return useMemo(
    () => [
      {
        id: 'started_at',
        header: 'When',
        width: 122,
        cell: (call) => (
          <time dateTime={call.started_at} title={moment(call.started_at, 'iso')}>
            {clock(millis(call.started_at), zone, now)}
          </time>
        ),
        value: (call) => call.started_at,
      },
      {
        id: 'status',
        header: 'Status',
        width: 76,
        cell: (call) => <HttpStatus status={call.status} />,
        value: (call) => call.status,
      },
      {
        id: 'path',
        header: 'Path',
        cell: (call) => (
          <span title={call.path}>
            <span className={style.method}>{call.method}</span> {call.path}
          </span>
        ),
        value: (call) => `${call.method} ${call.path}`,
      },
      {
        id: 'route',
        header: 'Route',
        width: 170,
        cell: (call) => call.route ?? <span className="faint">(unmatched)</span>,
        value: (call) => call.route ?? '(unmatched)',
      },
      {
        id: 'total_ms',
        header: 'Time',
        width: 84,
        align: 'right',
        cell: (call) => (call.limited_by ? '–' : duration(call.total_ms)),
        value: (call) => call.total_ms,
      },
      {
        id: 'consumer',
        header: 'Who',
        width: 150,
        cell: (call) => call.user || call.api_key || call.client_ip || '–',
        value: (call) => call.user || call.api_key || call.client_ip,
      },
      {
        id: 'note',
        header: 'Note',
        width: 170,
        cell: (call) => <span title={noteOf(call)}>{noteOf(call)}</span>,
        value: noteOf,
      },
      {
        id: 'response_bytes',
        header: 'Sent',
        width: 78,
        align: 'right',
        cell: (call) => bytes(call.response_bytes),
        value: (call) => call.response_bytes,
      },
    ],
    [zone, now, moment],
  );
}

/** What is special about a call. */
function noteOf(call: Call): string {
  if (call.error) return call.error;
  if (call.limited_by) return `refused by ${call.limited_by}`;
  return call.disconnected ? 'client left' : '';
}
