/** A key figure: its value, its course, and its change against the period before. */
import { Skeleton, Tooltip } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactElement, type ReactNode, useContext } from 'react';
import { change, difference, points } from '../time/format.ts';
import { Began } from './began.ts';
import { IconMinus, IconTrendingDown, IconTrendingUp } from './icons.ts';
import type { Tone } from './palette.ts';
import { Sparkline } from './Sparkline.tsx';
import style from './StatCard.module.css';

interface StatCardProps {
  label: string;
  /** What the label means, where not everybody knows: shown to whoever points at it or comes to it by keys. */
  help?: string;
  /** As it is shown; null while it is on its way. */
  value: string | null;
  /** The figure and the one before, for the change. `before`: null where there was none; absent until it is known. */
  figure?: number;
  before?: number | null;
  /** Whether the change is told in things, and not as a share: of what there are few. */
  few?: boolean;
  /** Whether the figure is a share, 0 to 1: its change is told in points. */
  share?: boolean;
  /** Whether it is the figure of a moment, as is the one before: that needs no whole period. */
  ofMoment?: boolean;
  /** Whether more is better, worse, or neither. */
  more?: 'good' | 'bad' | 'neither';
  /** Its course over the range. */
  course?: readonly (number | null)[];
  tone?: Tone;
  /** Where the figure comes from. */
  to?: string;
  note?: ReactNode;
}

export function StatCard({
  label,
  help,
  value,
  figure,
  before,
  few = false,
  share = false,
  ofMoment = false,
  more = 'neither',
  course,
  tone,
  to,
  note,
}: StatCardProps) {
  const inside = (
    <>
      {help && !to ? (
        <Helped help={help}>
          <button type="button" className={style.help}>
            {label}
          </button>
        </Helped>
      ) : (
        <span className={help ? style.helped : style.label}>{label}</span>
      )}
      {help && <span className="unseen">{help}</span>}
      <span className={style.line}>
        {value === null ? <Skeleton height={30} width={90} /> : <span className={style.value}>{value}</span>}
        {course && <Sparkline values={course} tone={tone} />}
      </span>
      <span className={style.foot}>
        {figure !== undefined && before !== undefined && (
          <Change figure={figure} before={before} few={few} share={share} ofMoment={ofMoment} more={more} />
        )}
        {note && <span className={style.note}>{note}</span>}
      </span>
    </>
  );
  const link = to && (
    <Link to={to} search={(kept) => kept} className={style.card} data-tone={tone}>
      {inside}
    </Link>
  );
  // A link is reached by keys itself; a button within it could not be.
  if (link) return help ? <Helped help={help}>{link}</Helped> : link;
  return (
    <div className={style.card} data-tone={tone}>
      {inside}
    </div>
  );
}

function Helped({ help, children }: { help: string; children: ReactElement }) {
  return (
    <Tooltip label={help} multiline w={230} position="top-start" events={{ hover: true, focus: true, touch: true }}>
      {children}
    </Tooltip>
  );
}

interface ChangeProps extends Required<Pick<StatCardProps, 'few' | 'share' | 'ofMoment' | 'more'>> {
  figure: number;
  before: number | null;
}

function Change({ figure, before, few, share, ofMoment, more }: ChangeProps) {
  const began = useContext(Began);
  const written = before === null ? null : (share ? points : few ? difference : change)(figure, before);
  if (before === null || written === null) return <span className={style.change}>none before</span>;
  if (began !== null && !ofMoment) {
    return (
      <span className={style.change} title={`Recording began ${began}: the period before is not whole`}>
        no whole period before
      </span>
    );
  }
  const up = figure > before;
  const same = written.startsWith('±');
  const tone = same || more === 'neither' ? 'plain' : up === (more === 'good') ? 'good' : 'bad';
  const Shown = same ? IconMinus : up ? IconTrendingUp : IconTrendingDown;
  return (
    <span className={style.change} data-tone={tone} title="Against the period before">
      <Shown size={14} aria-hidden="true" />
      {same ? 'no change' : written}
      <span className="unseen"> against the period before</span>
    </span>
  );
}

/** Key figures in a row that wraps. */
export function StatCards({ children }: { children: ReactNode }) {
  return <div className={style.cards}>{children}</div>;
}
