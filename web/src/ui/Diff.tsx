/** What changed: each field with what it was and what it became. */
import style from './Diff.module.css';

export interface Change {
  path: string;
  before: unknown;
  after: unknown;
}

function shown(value: unknown): string {
  if (value === undefined || value === null || value === '') return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export function Diff({
  changes,
  labels = ['Before', 'After'],
}: {
  changes: readonly Change[];
  labels?: [string, string];
}) {
  return (
    <table className={style.diff}>
      <thead>
        <tr>
          <th scope="col">Field</th>
          <th scope="col">{labels[0]}</th>
          <th scope="col">{labels[1]}</th>
        </tr>
      </thead>
      <tbody>
        {changes.map(({ path, before, after }) => (
          <tr key={path}>
            <th scope="row">{path}</th>
            <td>
              <del>{shown(before)}</del>
            </td>
            <td>
              <ins>{shown(after)}</ins>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
