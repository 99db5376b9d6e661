/** Columns of everything that a sender has sent. */
import { useMemo } from 'react';
import { bytes, clock, millis } from '../../time/format.ts';
import type { Column } from '../../ui/DataTable.tsx';
import { useMoment, useView } from '../../view/view.ts';

export function useReceived(): Column<{ received_at: string }> {
  const { zone, now } = useView();
  const moment = useMoment();
  return useMemo(
    () => ({
      id: 'received_at',
      header: 'Received',
      width: 130,
      value: (row) => row.received_at,
      cell: (row) => (
        <time dateTime={row.received_at} title={moment(row.received_at, 'iso')}>
          {clock(millis(row.received_at), zone, now)}
        </time>
      ),
    }),
    [zone, now, moment],
  );
}

export const SIZE: Column<{ body_bytes: number }> = {
  id: 'body_bytes',
  header: 'Size',
  width: 84,
  align: 'right',
  value: (row) => row.body_bytes,
  cell: (row) => bytes(row.body_bytes),
};
