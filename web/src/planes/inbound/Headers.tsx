import { Skeleton } from '@mantine/core';
import { useGet } from '../../api/hooks.ts';
import { KeyValue } from '../../ui/KeyValue.tsx';
import style from './BytesView.module.css';
import { MASK } from './curl.ts';

/** The headers of an event as they were received; the server has masked what is secret. */
export function Headers({ id }: { id: string }) {
  const asked = useGet('/webhook-events/{id}/headers', undefined, { path: { id } });
  if (!asked.data) return <Skeleton height={80} radius="sm" />;
  return <HeaderList headers={asked.data.items} />;
}

export function HeaderList({ headers }: { headers: readonly { name: string; value: string }[] }) {
  if (headers.length === 0) return <p className="faint">None was kept.</p>;
  // A header may be there more than once: its values stand below each other.
  const byName = new Map<string, string[]>();
  for (const { name, value } of headers) byName.set(name, [...(byName.get(name) ?? []), value]);
  return (
    <KeyValue
      of={[...byName].map(([name, values]) => [name, <Value key={name} text={values.join('\n')} />] as const)}
    />
  );
}

function Value({ text }: { text: string }) {
  if (text === MASK) return <span className="faint">masked: it holds a secret</span>;
  return <span className={`mono ${style.header}`}>{text}</span>;
}
