/** When it is busy: requests by hour of the day and day of the week. */
import { useMemo } from 'react';
import { useGet } from '../../api/hooks.ts';
import { compact, count, millis, placeInWeek, weekday, type Zone, zoneName } from '../../time/format.ts';
import { Panel } from '../../ui/Panel.tsx';
import { Scroll } from '../../ui/Scroll.tsx';
import { useView } from '../../view/view.ts';
import { type Analytics, useFigureQuery } from './model.ts';
import style from './Pattern.module.css';

const HOUR = 3_600_000;

/** Weeks that are looked at: hours are kept for five, so that a range may have ended a week ago. */
const WEEKS = 4;
const WEEK = 7 * 24 * HOUR;

const DAYS = [0, 1, 2, 3, 4, 5, 6];
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

export function Pattern() {
  const { query } = useFigureQuery();
  const { span, zone, now } = useView();
  const recent = now - span.to < WEEK - HOUR;
  // By whole hours: the question, and so the answer, stays the same for an hour.
  const until = Math.ceil((recent ? span.to : now) / HOUR) * HOUR;
  const asked = useGet('/api-analytics', {
    ...query,
    step_seconds: HOUR / 1_000,
    endpoints: 1,
    consumers: 1,
    since: new Date(until - WEEKS * WEEK).toISOString(),
    until: new Date(until).toISOString(),
  });
  // Of wider steps than hours, in an install that keeps those for a shorter time, nothing can be said.
  const hourly = asked.data?.step_seconds === HOUR / 1_000;
  const week = useMemo(() => weekOf(hourly ? asked.data : undefined, zone), [asked.data, hourly, zone]);
  const most = Math.max(1, ...week.flat().map((one) => one ?? 0));
  return (
    <Panel
      title="Pattern of the week"
      note={`requests in an hour, mean of ${recent ? `the ${WEEKS} weeks to the end of the range` : `the newest ${WEEKS} weeks: hours are not kept for longer`}, ${zoneName(zone)}`}
      of={asked}
      empty={asked.data !== undefined && (asked.data.totals.count === 0 || !hourly)}
    >
      <Scroll className={style.scroll} aria-label="Requests by hour and day of the week">
        <table className={`${style.pattern} ${style.patternOf}`}>
          <thead>
            <tr>
              <th scope="col">
                <span className="unseen">Day</span>
              </th>
              {HOURS.map((hour) => (
                <th key={hour} scope="col">
                  {String(hour).padStart(2, '0')}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {DAYS.map((day) => (
              <tr key={day}>
                <th scope="row">{weekday(day)}</th>
                {HOURS.map((hour) => {
                  const mean = week[day]?.[hour] ?? null;
                  return (
                    <td
                      key={hour}
                      data-level={mean ? Math.max(1, Math.ceil((mean / most) * 4)) : 0}
                      title={`${weekday(day)} ${hour}:00: ${mean === null ? 'nothing recorded' : `${count(mean)} requests`}`}
                    >
                      {mean === null ? '' : compact(Math.round(mean))}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </Panel>
  );
}

/** Mean requests of each hour of the week, over the weeks in which something was recorded; null where nothing was. */
function weekOf(known: Analytics | undefined, zone: Zone): (number | null)[][] {
  const sums = DAYS.map(() => HOURS.map((): number[] => []));
  for (const point of known?.series ?? []) {
    const { day, hour } = placeInWeek(millis(point.at), zone);
    sums[day]?.[hour]?.push(point.stats.count);
  }
  return sums.map((day) =>
    day.map((counts) => (counts.length > 0 ? counts.reduce((sum, one) => sum + one, 0) / counts.length : null)),
  );
}
