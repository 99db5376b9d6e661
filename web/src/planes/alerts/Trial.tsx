/** The figure of a rule over the chosen stretch of time, with its threshold, and when it would have fired. */
import { Skeleton } from '@mantine/core';
import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { duration, quantity } from '../../time/format.ts';
import { filled } from '../../ui/chart/steps.ts';
import { Fault } from '../../ui/Fault.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { useMoment, useView } from '../../view/view.ts';
import style from './Alerts.module.css';
import type { RuleBody } from './draft.ts';
import { type Fired, fired, silent } from './trial.ts';

/** Lines that are drawn, at most: of each value one is an alert of its own. */
const LINES = 6;

/** Steps that the server answers with, at most. */
const STEPS = 1_500;

/** Firings that are listed, at most. */
const LISTED = 8;

export function Trial({ rule }: { rule: RuleBody }) {
  const view = useView();
  const moment = useMoment();
  const width = (rule.window_seconds ?? 60) * 1_000;
  const fits = (view.span.to - view.span.from) / width <= STEPS;
  const asked = useTimed('/system-metrics/series', {
    name: rule.metric,
    aggregation: rule.aggregation ?? 'avg',
    step_seconds: fits ? width / 1_000 : 0,
    label: Object.entries(rule.labels ?? {}).map(([name, value]) => `${name}:${value}`),
    by: rule.by ?? [],
    merge: (rule.by ?? []).length === 0,
    ...(rule.tenant ? { tenant: rule.tenant } : {}),
  });
  const { since, until } = view.when;
  const found = useMemo(() => {
    const answer = asked.data;
    if (!answer) return null;
    const none = silent(answer.aggregation);
    const lines = answer.lines.map(({ labels, points }) => {
      const [times, known] = filled({ since, until, step_seconds: answer.step_seconds }, points);
      const name = Object.values(labels).join(', ') || answer.aggregation;
      return { name, times, values: known.map((point) => point?.value ?? none) };
    });
    const step = answer.step_seconds * 1_000;
    const firings = lines.flatMap(({ name, times, values }) =>
      fired(rule, times, values, step).map((one) => ({ ...one, name })),
    );
    const times = lines[0]?.times ?? [];
    const level = (label: string, value: number | null | undefined, tone: 'warn' | 'bad') =>
      value === null || value === undefined ? [] : [{ label, tone, values: times.map(() => value) }];
    const data: ChartData = {
      times,
      series: [
        ...lines.slice(0, LINES).map(({ name, values }) => ({ label: name, values })),
        ...level('Threshold', rule.threshold, 'warn'),
        ...level('Critical', rule.critical, 'bad'),
      ],
    };
    return { data, firings, step, lines: lines.length, hidden: Math.max(0, lines.length - LINES) + answer.hidden };
  }, [asked.data, since, until, rule]);
  if (asked.error) return <Fault error={asked.error} />;
  if (!found) return <Skeleton height={220} radius="sm" />;
  if (found.lines === 0)
    return (
      <p className="faint">Nothing was measured under this name in this stretch of time: it would not have fired.</p>
    );
  return (
    <div className={style.trial}>
      <p role="status">{toldOf(found.firings, found.step)}</p>
      <TimeChart
        label={`${rule.metric} and the threshold of the rule`}
        data={found.data}
        format={quantity}
        height={180}
      />
      {found.hidden > 0 && <p className="faint">{found.hidden} more lines are not drawn.</p>}
      {found.firings.length > 0 && (
        <ul className={style.plain}>
          {found.firings
            .slice(-LISTED)
            .reverse()
            .map((one) => (
              <li key={`${one.name} ${one.from}`}>
                {moment(one.from, 'minute')},{' '}
                {one.until === null ? 'and still' : `for ${duration(one.until - one.from)}`}
                {found.lines > 1 && `, ${one.name}`} <span className="faint">worst {quantity(one.worst)}</span>
              </li>
            ))}
        </ul>
      )}
    </div>
  );
}

function toldOf(firings: readonly Fired[], step: number): string {
  const how = `Looked at once in ${duration(step)}`;
  if (firings.length === 0) return `${how}, it would not have fired.`;
  const times = firings.length === 1 ? 'once' : `${firings.length} times`;
  const going = firings.some((one) => one.until === null) ? ', and would fire now' : '';
  return `${how}, it would have fired ${times}${going}.`;
}
