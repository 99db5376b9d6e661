/** Why a delivery did not verify: near misses that the server tries, what each would mean, and what to do about it. */
import { Skeleton } from '@mantine/core';
import { sentence } from '../../api/client.ts';
import { useGet } from '../../api/hooks.ts';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import style from './Diagnosis.module.css';

export function Diagnosis({ id }: { id: string }) {
  const asked = useGet('/webhook-refusals/{id}/diagnosis', undefined, { path: { id } });
  if (asked.isError) return <p className="faint">{sentence(asked.error)}</p>;
  if (!asked.data) return <Skeleton height={64} radius="sm" />;
  if (asked.data.items.length === 0) {
    return <p className="faint">None of the usual causes explains it: the secret is another one, or it is forged.</p>;
  }
  return (
    <ol className={style.findings} aria-label="What may be the cause, the proven first">
      {asked.data.items.map((finding) => (
        <li key={finding.code}>
          <StatusBadge state={finding.proven ? 'proven' : 'likely'} tone={finding.proven ? 'bad' : 'warn'} />
          <p>
            {finding.text}
            <span className={style.remedy}>{finding.remedy}</span>
          </p>
        </li>
      ))}
    </ol>
  );
}
