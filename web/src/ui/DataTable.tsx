/**
 * A table of any length: only the rows in sight are in the page.
 *
 * Rows are real links, so that one opens in a new tab; ↑ ↓ or J K move through them. What is on screen can be taken away
 * as CSV, JSON or NDJSON, and where there is an export all that the filters find.
 */
import { Button, Menu } from '@mantine/core';
import { useSearch } from '@tanstack/react-router';
import { createSortedRowModel, rowSortingFeature, sortFns, tableFeatures, useTable } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import {
  type CSSProperties,
  type KeyboardEvent,
  memo,
  type ReactNode,
  use,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { createPortal } from 'react-dom';
import type { Format } from '../api/exported.ts';
import { pause, resume } from '../time/now.ts';
import { orderOf, type ViewSearch, withOrder } from '../view/search.ts';
import { useSetSearch } from '../view/view.ts';
import { howMany, type Total } from './counted.ts';
import style from './DataTable.module.css';
import { type Cell, download, type Kind } from './download.ts';
import { IconArrowDown, IconArrowUp, IconDownload } from './icons.ts';
import { BesideTitle } from './Panel.tsx';
import { useKeptFocus } from './useKeptFocus.ts';

export interface Column<Row> {
  /** Name in exports and in the URL. */
  id: string;
  header: string;
  /** What is shown. */
  cell: (row: Row) => ReactNode;
  /** What is sorted by and exported; without it neither. */
  value?: (row: Row) => Cell;
  /** Pixels; the columns without share what is left. */
  width?: number;
  /** Pixels on a phone, 0 for what is left; where any column has it, those without are on the page of the row only. */
  phone?: number;
  align?: 'right';
}

export interface DataTableProps<Row> {
  /** What the rows are, for those who do not see the table. */
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowId: (row: Row) => string;
  /** The link of a row: wrap the children in `<Link>`; the whole row is its target. */
  link?: (row: Row, children: ReactNode) => ReactNode;
  /** Whether there are more rows than those loaded, and how to get them. */
  hasMore?: boolean;
  loadMore?: () => void;
  /** How many there are in all, where it is known. */
  total?: Total;
  /** Name of exported files. */
  name: string;
  /** Pixels; the table scrolls within. */
  height?: number;
  /** Beside the number of rows: filters. */
  children?: ReactNode;
  /** Pixels; narrower places scroll sideways. */
  least?: number;
  /** Where all that the filters find is streamed from, more than is loaded included. */
  everything?: (format: Format) => string;
  /** What that is, where it is not the rows of the table. */
  whole?: string;
}

/** Height of a row, pixels. */
const ROW = 36;

/** Rows beyond the edges: as far as one turn of the wheel goes. Each is drawn anew when the bar is dragged. */
const OVERSCAN = 7;

const features = tableFeatures({ rowSortingFeature, sortedRowModel: createSortedRowModel(), sortFns });

export function DataTable<Row extends object>({
  label,
  columns,
  rows,
  rowId,
  link,
  hasMore = false,
  loadMore,
  total,
  name,
  height = 480,
  children,
  least = 640,
  everything,
  whole = 'all that is found',
}: DataTableProps<Row>) {
  const { sort }: ViewSearch = useSearch({ strict: false });
  const set = useSetSearch();
  const sorting = useMemo(() => {
    const order = orderOf(sort, name);
    return order && columns.some((column) => column.id === order.id && column.value) ? [order] : [];
  }, [sort, name, columns]);
  const [active, setActive] = useState<number | null>(null);
  const scroll = useRef<HTMLDivElement>(null);
  const beside = use(BesideTitle);
  const definitions = useMemo(
    () =>
      columns.map(({ id, header, value }) => ({
        id,
        header,
        enableSorting: value !== undefined,
        ...(value ? { accessorFn: value as (row: Row) => Cell } : {}),
      })),
    [columns],
  );
  const data = rows as Row[];
  const phone = columns.some((column) => column.phone !== undefined);
  const table = useTable({
    features,
    columns: definitions as never,
    data,
    getRowId: rowId,
    state: { sorting },
  });
  const sorted = table.getRowModel().rows;
  const keepFocus = useKeptFocus(scroll, sorted);
  const [ends, setEnds] = useState(true);
  const virtual = useVirtualizer({
    count: sorted.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW,
    overscan: OVERSCAN,
    // The same function for the same rows: with another one all of them are measured anew, at every step of a scroll.
    getItemKey: useCallback((index: number) => sorted[index]?.id ?? index, [sorted]),
  });
  const shown = virtual.getVirtualItems();
  const first = shown[0];
  const last = shown.at(-1);

  const atEnd = last !== undefined && last.index >= sorted.length - 20;
  useEffect(() => {
    if (atEnd && hasMore) loadMore?.();
  }, [atEnd, hasMore, loadMore]);

  useEffect(() => {
    if (active === null) return;
    scroll.current?.querySelector<HTMLElement>(`[data-row="${active}"] a, [data-row="${active}"][tabindex]`)?.focus();
  }, [active]);

  // Where there are more columns than there is room for, its edge says so.
  useEffect(() => {
    const place = scroll.current;
    if (!place) return;
    const observer = new ResizeObserver(() => setEnds(showsEnd(place)));
    observer.observe(place);
    return () => observer.disconnect();
  }, []);

  // Rows must not move away under somebody who has scrolled down to read them.
  const reading = `rows-${name}`;
  useEffect(() => () => resume(reading), [reading]);

  function move(event: KeyboardEvent): void {
    // What is typed in a dialog of a row comes through here, too: React has events rise through portals.
    if (!event.currentTarget.contains(event.target as Node)) return;
    const steps: Record<string, number> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10 };
    const by = steps[event.key];
    if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    // From the row that has the focus, however it got there.
    const here = (event.target as HTMLElement).closest<HTMLElement>('[data-row]')?.dataset.row ?? active;
    const from = here === null ? (by > 0 ? -1 : 1) : Number(here);
    const to = Math.max(0, Math.min(sorted.length - 1, from + by));
    virtual.scrollToIndex(to);
    requestAnimationFrame(() => setActive(to));
  }

  function sortBy(order: { id: string; desc: boolean } | null): void {
    set({ sort: withOrder(sort, name, order) }, { replace: true });
  }

  function take(kind: Kind): void {
    const taken = columns.filter((column) => column.value);
    download(
      kind,
      name,
      taken.map((column) => column.id),
      sorted.map((row) => taken.map((column) => column.value?.(row.original as Row) ?? null)),
    );
  }

  const told = (
    <>
      <span className={style.count}>{howMany(rows.length, hasMore, total)}</span>
      <Menu position="bottom-end" withinPortal>
        <Menu.Target>
          <Button
            size="compact-xs"
            variant="default"
            leftSection={<IconDownload size={14} aria-hidden="true" />}
            disabled={rows.length === 0}
          >
            Export
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => take('csv')}>CSV of these rows</Menu.Item>
          <Menu.Item onClick={() => take('json')}>JSON of these rows</Menu.Item>
          <Menu.Item onClick={() => take('ndjson')}>NDJSON of these rows</Menu.Item>
          {everything && (
            <>
              <Menu.Divider />
              <Menu.Item component="a" href={everything('csv')} download>
                CSV of {whole}
              </Menu.Item>
              <Menu.Item component="a" href={everything('ndjson')} download>
                NDJSON of {whole}
              </Menu.Item>
            </>
          )}
        </Menu.Dropdown>
      </Menu>
    </>
  );
  return (
    <div className={style.whole}>
      {beside && createPortal(told, beside)}
      {(children || !beside) && (
        <div className={style.top}>
          {children}
          {!beside && told}
        </div>
      )}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: keys move between the links in it */}
      <div
        ref={scroll}
        className={style.scroll}
        style={{ maxHeight: height }}
        data-more={ends ? undefined : true}
        onKeyDown={move}
        onFocus={keepFocus}
        onScroll={(event) => {
          event.currentTarget.scrollTop > ROW ? pause(reading) : resume(reading);
          setEnds(showsEnd(event.currentTarget));
        }}
      >
        <table
          className={style.table}
          style={{ '--least': `${least}px` } as CSSProperties}
          data-phone={phone || undefined}
          aria-label={label}
          aria-rowcount={hasMore ? -1 : rows.length + 1}
        >
          <colgroup>
            {columns.map((column) => (
              <col key={column.id} style={widths(column)} data-wide={onlyWide(column)} />
            ))}
          </colgroup>
          <thead>
            <tr>
              {columns.map((column) => {
                const order = sorting.find((one) => one.id === column.id);
                return (
                  <th
                    key={column.id}
                    scope="col"
                    data-align={column.align}
                    data-wide={onlyWide(column)}
                    aria-sort={order ? (order.desc ? 'descending' : 'ascending') : undefined}
                  >
                    {column.value ? (
                      <button
                        type="button"
                        className={style.sort}
                        onClick={() => sortBy(order?.desc === false ? null : { id: column.id, desc: !order })}
                      >
                        {column.header}
                        {order &&
                          (order.desc ? (
                            <IconArrowDown size={13} aria-hidden="true" />
                          ) : (
                            <IconArrowUp size={13} aria-hidden="true" />
                          ))}
                      </button>
                    ) : (
                      column.header
                    )}
                  </th>
                );
              })}
            </tr>
          </thead>
          <tbody>
            {first && first.start > 0 && <tr style={{ height: first.start }} />}
            {shown.map(({ index }) => {
              const row = sorted[index];
              if (!row) return null;
              return <Line key={row.id} index={index} row={row.original as Row} columns={columns} link={link} />;
            })}
            {last && virtual.getTotalSize() > last.end && <tr style={{ height: virtual.getTotalSize() - last.end }} />}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function widths({ width, phone }: Column<never>): CSSProperties {
  return {
    '--width': width ? `${width}px` : 'auto',
    '--on-phone': phone ? `${phone}px` : 'auto',
  } as CSSProperties;
}

/** Left out on a phone, if the table has columns for one. */
const onlyWide = ({ phone }: Column<never>) => phone === undefined || undefined;

/** Whether the last column is in sight. */
function showsEnd({ scrollLeft, clientWidth, scrollWidth }: HTMLElement): boolean {
  return scrollLeft + clientWidth >= scrollWidth - 1;
}

interface LineProps<Row> extends Pick<DataTableProps<Row>, 'columns' | 'link'> {
  index: number;
  row: Row;
}

function Cells<Row>({ index, row, columns, link }: LineProps<Row>) {
  return (
    <tr data-row={index} aria-rowindex={index + 2} className={style.row} tabIndex={link ? undefined : -1}>
      {columns.map((column, at) => (
        <td key={column.id} data-align={column.align} data-wide={onlyWide(column)}>
          {at === 0 && link ? link(row, column.cell(row)) : column.cell(row)}
        </td>
      ))}
    </tr>
  );
}

/** One row; those that stay in sight while others come into it are left as they are. */
const Line = memo(Cells) as typeof Cells;
