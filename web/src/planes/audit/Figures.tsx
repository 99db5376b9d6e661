/** How the trail looks over the range: key figures, risk over time, why entries were flagged, where failures come from. */
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { compact, percent } from '../../time/format.ts';
import { Bars } from '../../ui/Bars.tsx';
import { courseOf, earlier, filled } from '../../ui/chart/steps.ts';
import { Row } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatCard, StatCards } from '../../ui/StatCard.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { useView } from '../../view/view.ts';

const points = (value: number | null) => (value === null ? '–' : compact(Math.round(value * 10) / 10));

export function Figures() {
  const view = useView();
  const asked = useTimed('/audit-summary');
  const before = useTimed('/audit-summary', {}, { which: 'before' });
  const now = asked.data;
  const then = before.data;
  const waiting = now ? (now.by_review_state.open ?? 0) + (now.by_review_state.acknowledged ?? 0) : null;
  const trend = now?.risk_trend;
  const old = view.before ? then : undefined;
  const data = useMemo<ChartData>(() => {
    if (!now) return { times: [], series: [] };
    const [times, points] = filled(now, now.risk_trend);
    const last = old ? earlier(times, now, old, old.risk_trend) : null;
    return {
      times,
      series: [
        { label: 'Highest', tone: 'bad', values: points.map((point) => point?.max_risk ?? null) },
        { label: 'Mean', tone: 'info', values: points.map((point) => point?.mean_risk ?? null) },
        ...(last ? [{ label: 'Highest before', before: true, values: last.map((one) => one?.max_risk ?? null) }] : []),
      ],
    };
  }, [now, old]);
  return (
    <>
      <StatCards>
        <StatCard
          label="To review"
          value={waiting === null ? null : compact(waiting)}
          tone={waiting ? 'warn' : undefined}
          note="still to decide"
        />
        <StatCard
          label="Flagged"
          value={now ? compact(now.flagged) : null}
          figure={now?.flagged}
          before={then && (then.total ? then.flagged : null)}
          few
          more="bad"
          note="entries"
          course={courseOf(now, trend, (point) => point.flagged)}
        />
        <StatCard
          label="Entries"
          value={now ? compact(now.total) : null}
          figure={now?.total}
          before={then?.total}
          course={courseOf(now, trend, (point) => point.events)}
        />
        <StatCard
          label="Not successful"
          value={now ? percent(now.total ? now.failures / now.total : null) : null}
          figure={now?.total ? now.failures / now.total : undefined}
          share
          before={then && (then.total ? then.failures / then.total : null)}
          more="bad"
          note={now && `${compact(now.by_outcome.denied ?? 0)} denied`}
        />
        <StatCard
          label="Admin actions"
          value={now ? compact(now.by_kind.admin ?? 0) : null}
          figure={now?.by_kind.admin ?? 0}
          before={then && (then.by_kind.admin ?? 0)}
          note="done or refused"
        />
      </StatCards>
      <Row least={380}>
        <Panel title="Risk" note="score 0 to 100" of={asked} empty={trend?.length === 0}>
          <TimeChart label="Risk scores over time" data={data} format={points} height={190} />
        </Panel>
        <Panel title="Why entries were flagged" note="rules that scored" of={asked} empty={!hasAny(now?.by_rule)}>
          <Bars
            label="Rules by flagged entries"
            bars={Object.entries(now?.by_rule ?? {})
              .slice(0, 8)
              .map(([rule, value]) => ({ id: rule, label: ruleName(rule), value, shown: compact(value) }))}
          />
        </Panel>
        <Panel
          title="Where failures come from"
          note="failures, and how many failed there"
          of={asked}
          empty={now?.failing_addresses.length === 0}
        >
          <Bars
            label="Addresses by failures"
            bars={(now?.failing_addresses ?? []).slice(0, 8).map((one) => ({
              id: one.ip,
              label: (
                <Link
                  to="/audit"
                  search={((kept: object) => ({ ...kept, tab: 'entries', ip: one.ip, open: undefined })) as never}
                >
                  {one.ip}
                </Link>
              ),
              value: one.failures,
              shown: `${compact(one.failures)} · ${compact(one.actors)} ${one.actors === 1 ? 'actor' : 'actors'}`,
              tone: 'bad' as const,
            }))}
          />
        </Panel>
      </Row>
    </>
  );
}

function hasAny(counts: Record<string, number> | undefined): boolean {
  return counts !== undefined && Object.keys(counts).length > 0;
}

/** `success_after_failures` as one reads it. */
function ruleName(rule: string): string {
  if (rule === 'action') return 'Base risk of the action';
  const words = rule.replaceAll('_', ' ').replace(/^ip\b/, 'address');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
