/** Where the time of an attempt went, as a bar and in words. */
import { duration } from '../../time/format.ts';
import type { Attempt } from './model.ts';
import style from './Outbound.module.css';

export function AttemptTiming({ attempt }: { attempt: Attempt }) {
  const { dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms } = attempt;
  const before = dns_ms + connect_ms + tls_ms;
  const parts = [
    { name: 'DNS', ms: dns_ms },
    { name: 'connect', ms: connect_ms },
    { name: 'TLS', ms: tls_ms },
    // The first byte is counted from the start of the request.
    { name: 'first byte', ms: Math.max(0, first_byte_ms - before) },
    { name: first_byte_ms > 0 ? 'rest' : 'waiting', ms: Math.max(0, total_ms - Math.max(before, first_byte_ms)) },
  ];
  return (
    <div>
      <svg className={style.bar} viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        {parts.map(({ name, ms }, place) => {
          const whole = Math.max(total_ms, 0.001);
          const x = (parts.slice(0, place).reduce((sum, part) => sum + part.ms, 0) / whole) * 100;
          return <rect key={name} data-part={place} x={x} y={0} width={(ms / whole) * 100} height={1} />;
        })}
      </svg>
      <p className={style.spent}>
        <b>{duration(total_ms)}</b>
        {parts.map(({ name, ms }, place) =>
          ms > 0 ? (
            <span key={name} className={style.part}>
              <svg viewBox="0 0 1 1" aria-hidden="true" className={style.key}>
                <rect data-part={place} width={1} height={1} />
              </svg>
              {name} {duration(ms)}
            </span>
          ) : null,
        )}
      </p>
    </div>
  );
}
