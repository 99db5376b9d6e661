import { useGet, useTimed } from '../../api/hooks.ts';
import { compact, count, duration, percent } from '../../time/format.ts';
import { courseOf } from '../../ui/chart/steps.ts';
import { PERCENTILES } from '../../ui/percentiles.ts';
import { StatCard, StatCards } from '../../ui/StatCard.tsx';
import { ALERTS } from './first.ts';

/** In the place of a figure: null while it is on its way, a dash when it cannot be had; the panels below say why. */
const missing = (asked: { isError: boolean }) => (asked.isError ? '–' : null);

/** The figures that one would ask for first, each with its course and its change. */
export function KeyFigures() {
  // The same question as the page's, but asked among the first: what is higher in the tree asks later.
  const api = useTimed('/api-health');
  // What one compares with is asked when there is something to compare: a browser asks six things at a time.
  const then = { which: 'before', enabled: api.data !== undefined } as const;
  const apiBefore = useTimed('/api-analytics', { endpoints: 1, consumers: 1 }, then);
  const hooks = useTimed('/webhook-analytics');
  const hooksBefore = useTimed('/webhook-analytics', {}, then);
  const limits = useTimed('/rate-limit-summary');
  const limitsBefore = useTimed('/rate-limit-summary', {}, then);
  const audit = useTimed('/audit-summary');
  const alerts = useGet(ALERTS.path, ALERTS.query, { fresh: true });

  const totals = api.data?.analytics.totals;
  const before = apiBefore.data?.totals;
  const calls = api.data?.analytics;
  const total = hooks.data?.total;
  const open = audit.data?.by_review_state.open ?? 0;
  const firing = alerts.data?.items;
  const blocks = limits.data?.blocks_in_force ?? 0;
  const none = totals?.count === 0 ? 'no requests' : undefined;
  return (
    <StatCards>
      <StatCard
        label="Requests"
        value={totals ? compact(totals.count) : missing(api)}
        figure={totals?.count}
        before={before?.count}
        course={courseOf(calls, calls?.series, ({ stats }) => stats.count)}
        to="/api"
      />
      <StatCard
        label="Server errors"
        value={totals ? percent(totals.count > 0 ? totals.error_rate : null) : missing(api)}
        figure={totals?.count ? totals.error_rate : undefined}
        share
        before={before && (before.count ? before.error_rate : null)}
        more="bad"
        note={none}
        tone={totals && totals.error_rate >= 0.05 ? 'bad' : undefined}
        course={courseOf(calls, calls?.series, ({ stats }) => stats.error_rate, null)}
        to="/api"
      />
      <StatCard
        label="Response time p95"
        help={PERCENTILES.p95}
        value={totals ? duration(totals.timed > 0 ? totals.total_ms.p95 : null) : missing(api)}
        figure={totals && totals.timed > 0 ? totals.total_ms.p95 : undefined}
        before={before && (before.timed > 0 ? before.total_ms.p95 : null)}
        more="bad"
        note={none}
        course={courseOf(calls, calls?.series, ({ stats }) => (stats.timed > 0 ? stats.total_ms.p95 : null), null)}
        to="/api"
      />
      <StatCard
        label="Webhooks received"
        value={total ? compact(total.received) : missing(hooks)}
        figure={total?.received}
        before={hooksBefore.data?.total.received}
        course={courseOf(hooks.data, hooks.data?.points, ({ summary }) => summary.received)}
        to="/webhooks"
      />
      <StatCard
        label="Webhook success"
        value={total ? percent(total.success_rate) : missing(hooks)}
        figure={total?.success_rate ?? undefined}
        share
        before={hooksBefore.data?.total.success_rate}
        more="good"
        note={total && total.success_rate == null ? 'none has ended' : undefined}
        tone={total?.success_rate != null && total.success_rate < 0.95 ? 'warn' : undefined}
        course={courseOf(hooks.data, hooks.data?.points, ({ summary }) => summary.success_rate, null)}
        to="/webhooks"
      />
      <StatCard
        label="Refused by limits"
        value={limits.data ? compact(limits.data.refused) : missing(limits)}
        figure={limits.data?.refused}
        before={limitsBefore.data?.refused}
        note={limits.data && `${count(blocks)} ${blocks === 1 ? 'block' : 'blocks'} in force`}
        course={courseOf(calls, calls?.series, ({ stats }) => stats.limited)}
        to="/rate-limits"
      />
      <StatCard
        label="To review"
        value={audit.data ? compact(open) : missing(audit)}
        tone={open > 0 ? 'warn' : undefined}
        note={audit.data && `${compact(audit.data.flagged)} of ${compact(audit.data.total)} entries flagged`}
        course={courseOf(audit.data, audit.data?.risk_trend, (point) => point.flagged)}
        to="/audit"
      />
      <StatCard
        label="Alerts firing"
        value={firing ? compact(firing.length) : missing(alerts)}
        tone={firing && firing.length > 0 ? 'bad' : undefined}
        note={firing && (firing.length > 0 ? `${count(unseen(firing))} not acknowledged` : 'nothing is wrong')}
      />
    </StatCards>
  );
}

const unseen = (firing: readonly { acknowledged_by: string }[]) => firing.filter((one) => !one.acknowledged_by).length;
