/** Bytes three ways: as a tree where they are JSON, as text, and as they are. Each is worked out when it is looked at. */
import { SegmentedControl } from '@mantine/core';
import { useMemo } from 'react';
import { bytes as size } from '../../time/format.ts';
import { HexView } from '../../ui/HexView.tsx';
import { JsonTree } from '../../ui/JsonTree.tsx';
import { Message } from '../../ui/Message.tsx';
import { useSetSearch } from '../../view/view.ts';
import style from './BytesView.module.css';
import { decoded, looksLikeJson, parsed, TREE } from './bytes.ts';
import { useInbound, type Way } from './search.ts';
import { TextView } from './TextView.tsx';

const LABELS = [
  { value: 'tree', label: 'Tree' },
  { value: 'raw', label: 'Raw' },
  { value: 'hex', label: 'Hex' },
] satisfies { value: Way; label: string }[];

interface BytesViewProps {
  bytes: Uint8Array;
  /** Whether these are all of them: only then there is a tree. */
  whole: boolean;
}

export function BytesView({ bytes, whole }: BytesViewProps) {
  const { way: chosen } = useInbound();
  const set = useSetSearch();
  const way = chosen ?? (whole && looksLikeJson(bytes) ? 'tree' : 'raw');
  if (bytes.length === 0) return <p className="faint">The body is empty.</p>;
  return (
    <div>
      <SegmentedControl
        size="xs"
        className={style.ways}
        aria-label="How the payload is shown"
        data={LABELS}
        value={way}
        onChange={(next) => set({ way: next }, { replace: true })}
      />
      <div className={style.frame}>
        {way === 'tree' ? (
          <Tree bytes={bytes} whole={whole} />
        ) : way === 'hex' ? (
          <HexView bytes={bytes} label="Payload, hexadecimal" />
        ) : (
          <Raw bytes={bytes} />
        )}
      </div>
    </div>
  );
}

function Tree({ bytes, whole }: BytesViewProps) {
  const found = useMemo(() => (whole ? parsed(bytes) : null), [bytes, whole]);
  if (!found) return <Message title="A tree needs the whole payload" text="Load all of it below." />;
  if ('fault' in found) {
    const text = found.fault === 'large' ? `A tree is made of up to ${size(TREE)}.` : 'Raw and hex show what came.';
    return <Message title={found.fault === 'large' ? 'Too large for a tree' : 'This is no JSON'} text={text} />;
  }
  return <JsonTree value={found.value} label="Payload, as a tree" />;
}

function Raw({ bytes }: { bytes: Uint8Array }) {
  const { text, exact } = useMemo(() => decoded(bytes), [bytes]);
  return (
    <>
      {!exact && <p className={style.note}>Not all of it is UTF-8: what is not is shown as �. Hex shows every byte.</p>}
      <TextView text={text} label="Payload, as text" />
    </>
  );
}
