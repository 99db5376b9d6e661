/** Where a kind of error was first raised: the frames of the app, and all the rest folded. */

import { Snippet } from './Snippet.tsx';
import style from './Traceback.module.css';
import { type Frame, short, taken } from './traceback.ts';

export function Traceback({ text }: { text: string }) {
  const [last, ...causes] = taken(text);
  if (!last) return <p className="faint">It was not kept.</p>;
  return (
    <div className={style.whole}>
      <Frames frames={last.frames} />
      {causes.map((cause) => (
        <div key={`${cause.message} ${cause.frames[0]?.line}`}>
          <p className={style.cause}>
            after <code>{cause.message}</code>
          </p>
          <Frames frames={cause.frames} />
        </div>
      ))}
      <details className={style.rest}>
        <summary>Whole traceback, of the first occurrence</summary>
        <Snippet text={text} label="Traceback" wide />
      </details>
    </div>
  );
}

/** Frames of the app as they are; those of libraries between them are counted. */
function Frames({ frames }: { frames: readonly Frame[] }) {
  // Each place once: how deep a recursion went says no more.
  const own = new Map(frames.filter((frame) => frame.own).map((frame) => [`${frame.file}:${frame.line}`, frame]));
  const others = frames.filter((frame) => !frame.own).length;
  return (
    <ol className={style.frames} aria-label="Frames of the app, the innermost first">
      {[...own].map(([place, frame]) => (
        <li key={place}>
          <b className="mono">{frame.name}</b>{' '}
          <span className="faint mono" title={frame.file}>
            {short(frame.file)}:{frame.line}
          </span>
          {frame.code && <code className={style.code}>{frame.code}</code>}
        </li>
      ))}
      {others > 0 && <li className="faint">{others === 1 ? '1 frame' : `${others} frames`} of libraries</li>}
    </ol>
  );
}
