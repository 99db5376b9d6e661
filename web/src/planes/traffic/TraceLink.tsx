import { Copy } from '../../ui/Snippet.tsx';
import { ToPart } from './ToPart.tsx';
import style from './Traffic.module.css';

/** A trace id that leads to the calls with it, and can be taken along. */
export function TraceLink({ id }: { id: string }) {
  return (
    <span className={style.trace}>
      <ToPart whole change={{ part: 'calls', trace: id }}>
        <span className="mono">{id}</span>
      </ToPart>
      <Copy text={id} />
    </span>
  );
}
