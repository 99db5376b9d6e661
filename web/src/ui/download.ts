/** Takes what is on screen away as a file. */

export type Cell = string | number | boolean | null | undefined;

/** Cells that begin with these are formulas to a spreadsheet (OWASP, CSV injection). */
const FORMULA = /^[=+\-@\t\r]/;

export function csv(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [names, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One JSON object a line. */
export function ndjson(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${JSON.stringify(named(names, row))}\n`).join('');
}

function named(names: readonly string[], row: readonly Cell[]): Record<string, Cell> {
  return Object.fromEntries(names.map((name, at) => [name, row[at] ?? null]));
}

export function json(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return JSON.stringify(
    rows.map((row) => named(names, row)),
    null,
    2,
  );
}

export type Kind = 'csv' | 'json' | 'ndjson';

/** Each kind: how it is written, and its media type. */
const KINDS = {
  csv: [csv, 'text/csv'],
  json: [json, 'application/json'],
  ndjson: [ndjson, 'application/x-ndjson'],
} as const;

export function download(kind: Kind, name: string, names: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const [written, type] = KINDS[kind];
  const url = URL.createObjectURL(new Blob([written(names, rows)], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${name}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
