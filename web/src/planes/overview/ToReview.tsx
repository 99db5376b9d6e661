import { Link } from '@tanstack/react-router';
import { useGet } from '../../api/hooks.ts';
import type { Happening } from '../../live/source.ts';
import { useFresh } from '../../live/useFresh.ts';
import { ago } from '../../time/format.ts';
import { IconShieldCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { TO_REVIEW } from './first.ts';
import style from './Lists.module.css';

const KEYS = [['/audit-logs']];
const concerns = (event: Happening) => event.plane === 'audit' && event.outcome === 'attention';

/** Entries of the audit trail that wait for somebody to look at them, the latest first. */
export function ToReview() {
  const { now } = useView();
  const moment = useMoment();
  const asked = useGet(TO_REVIEW.path, TO_REVIEW.query, { fresh: true });
  useFresh(KEYS, concerns);
  const items = asked.data?.items ?? [];
  return (
    <Panel
      title="Flagged for review"
      of={asked}
      empty={items.length === 0}
      whenEmpty={
        <Message
          icon={<IconShieldCheck size={28} />}
          title="Nothing waits for review"
          text="Entries of high risk show up here with their reasons."
        />
      }
    >
      <ul className={style.list}>
        {items.map((entry) => (
          <li key={entry.id} className={style.item}>
            <StatusBadge state={`risk ${entry.risk_score}`} tone={entry.risk_score >= 80 ? 'bad' : 'warn'} />
            <div className={style.text}>
              <Link
                to="/audit"
                search={((kept: object) => ({ ...kept, open: entry.id })) as never}
                className={style.title}
              >
                {entry.action}
              </Link>
              <span className="faint">{entry.risk_reasons.map((reason) => reason.sentence).join(' · ')}</span>
            </div>
            <time className={style.when} dateTime={entry.recorded_at} title={moment(entry.recorded_at, 'iso')}>
              {ago(entry.recorded_at, now)}
            </time>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
