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

export function json(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return JSON.stringify(
    rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? null]))),
    null,
    2,
  );
}

export function download(
  kind: 'csv' | 'json',
  name: string,
  names: readonly string[],
  rows: readonly (readonly Cell[])[],
): void {
  const text = kind === 'csv' ? csv(names, rows) : json(names, rows);
  const url = URL.createObjectURL(new Blob([text], { type: kind === 'csv' ? 'text/csv' : 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${name}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
