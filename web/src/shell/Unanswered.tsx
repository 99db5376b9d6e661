/** Says, over the page and not in it, that the server does not answer, and of when the figures are that one sees. */
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { tryNow, useReach } from '../api/reach.ts';
import { clock } from '../time/format.ts';
import { IconAlertTriangle } from '../ui/icons.ts';
import { useView } from '../view/view.ts';
import style from './Unanswered.module.css';

export function Unanswered() {
  const { lost, heard, next } = useReach();
  const { zone, now } = useView();
  const queries = useQueryClient();
  const [seconds, setSeconds] = useState(0);

  useEffect(() => {
    if (!lost) return;
    const look = () => setSeconds(Math.max(0, Math.ceil((next - Date.now()) / 1_000)));
    look();
    const timer = window.setInterval(look, 250);
    return () => window.clearInterval(timer);
  }, [lost, next]);

  // What could not be had is asked again at once; what is there is by the page's own pace.
  useEffect(() => {
    if (lost) return () => void queries.refetchQueries({ predicate: ({ state }) => state.error !== null });
  }, [lost, queries]);

  const since =
    heard > 0 ? `As of ${clock(heard, zone, now)}: the server does not answer` : 'The server does not answer';
  return (
    <div className={style.place}>
      {/* Always there, so that what is put in is heard; the seconds are seen only, else each would be read out. */}
      <span role="status" className="unseen">
        {lost ? since : ''}
      </span>
      {lost && (
        <p className={style.said}>
          <IconAlertTriangle size={16} aria-hidden="true" />
          <span aria-hidden="true">
            {since},{' '}
            <span className={style.again}>{seconds > 0 ? `trying again in ${seconds} s` : 'trying again now'}</span>
          </span>
          <button type="button" onClick={() => void tryNow()}>
            Try now
          </button>
        </p>
      )}
    </div>
  );
}
