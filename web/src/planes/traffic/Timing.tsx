/** Where the time of a call went: until the first byte, sending the rest, and what went on after it. */
import { duration } from '../../time/format.ts';
import type { Call } from './model.ts';
import style from './Timing.module.css';

export function Timing({ call }: { call: Call }) {
  const first = Math.min(call.ttfb_ms, call.total_ms);
  const parts = [
    { id: 'first', label: 'First byte', from: 0, took: first },
    { id: 'rest', label: 'Rest of the answer', from: first, took: call.total_ms - first },
    { id: 'after', label: 'Background', from: call.total_ms, took: call.background_ms },
  ];
  const whole = Math.max(call.total_ms + call.background_ms, 0.001);
  return (
    <table className={style.timing}>
      <tbody>
        {parts.map(({ id, label, from, took }) => (
          <tr key={id}>
            <th scope="row">{label}</th>
            <td>{duration(took)}</td>
            <td className={style.lane}>
              <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                <rect width="100" height="10" className={style.ground} />
                <rect
                  x={(from / whole) * 100}
                  width={Math.max(took > 0 ? 0.4 : 0, (took / whole) * 100)}
                  height="10"
                  className={style.filled}
                  data-part={id}
                />
              </svg>
            </td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">Until the last byte</th>
          <td>{duration(call.total_ms)}</td>
          <td />
        </tr>
      </tfoot>
    </table>
  );
}
