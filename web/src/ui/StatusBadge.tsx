/** A state in an icon and a word; its colour only helps. */

import {
  type Icon,
  IconAlertTriangle,
  IconCircleCheck,
  IconClock,
  IconExclamationCircle,
  IconInfoCircle,
} from './icons.ts';
import type { Tone } from './palette.ts';
import style from './StatusBadge.module.css';

const ICONS: Record<Tone, Icon> = {
  good: IconCircleCheck,
  warn: IconAlertTriangle,
  bad: IconExclamationCircle,
  plain: IconClock,
  info: IconInfoCircle,
};

/** What the words that the API uses for states mean. */
const TONES: Record<string, Tone> = {
  healthy: 'good',
  succeeded: 'good',
  success: 'good',
  resolved: 'good',
  active: 'good',
  benign: 'good',
  ok: 'good',
  degraded: 'warn',
  pending: 'plain',
  received: 'plain',
  processing: 'info',
  retrying: 'warn',
  failed: 'warn',
  warning: 'warn',
  acknowledged: 'info',
  silenced: 'plain',
  unhealthy: 'bad',
  dead: 'bad',
  critical: 'bad',
  firing: 'bad',
  open: 'warn',
  failure: 'bad',
  denied: 'bad',
  blocked: 'bad',
};

export function toneOf(state: string): Tone {
  return TONES[state.toLowerCase()] ?? 'plain';
}

interface StatusBadgeProps {
  /** As the API calls it. */
  state: string;
  tone?: Tone;
  /** In its place. */
  label?: string;
  /** Whether it is a name of a program, and written as it is. */
  code?: boolean;
}

export function StatusBadge({ state, tone = toneOf(state), label, code }: StatusBadgeProps) {
  const Shown = ICONS[tone];
  return (
    <span className={style.badge} data-tone={tone} title={code ? (label ?? state) : undefined}>
      <Shown size={14} stroke={2} aria-hidden="true" />
      <span className={code ? undefined : style.word}>{label ?? state}</span>
    </span>
  );
}

/** The icon of a state alone: the word is beside it. */
export function StateIcon({ state, size = 16 }: { state: string; size?: number }) {
  const Shown = ICONS[toneOf(state)];
  return <Shown size={size} stroke={2} aria-hidden="true" />;
}

/** An HTTP status with what its hundred means. */
export function HttpStatus({ status }: { status: number }) {
  const tone: Tone = status === 0 || status >= 500 ? 'bad' : status >= 400 ? 'warn' : status >= 300 ? 'info' : 'good';
  return <StatusBadge state={String(status)} tone={tone} label={status === 0 ? 'left' : String(status)} />;
}
