import type { Column } from './DataTable.tsx';

/** A column of figures: written to the right, sorted and exported by its value. */
export function figure<Row>(
  id: string,
  header: string,
  width: number,
  value: (row: Row) => number | null,
  write: (value: number | null) => string,
): Column<Row> {
  return { id, header, width, align: 'right', value, cell: (row) => write(value(row)) };
}
