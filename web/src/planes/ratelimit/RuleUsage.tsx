/** What one rule does: admitted and refused over the time range, who is near its limits now, whom it refused lately. */
import { useMemo } from 'react';
import { useTimed } from '../../api/hooks.ts';
import { compact, count, percent } from '../../time/format.ts';
import { filled } from '../../ui/chart/steps.ts';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { LatestRefusals } from './LatestRefusals.tsx';
import { type Rule, UNTOLD } from './model.ts';
import { NearBars } from './NearLimits.tsx';

export function RuleUsage({ rule }: { rule: Rule }) {
  const asked = useTimed('/rate-limits/usage', { rule: rule.name, ...(rule.tenant && { tenant: rule.tenant }) });
  const usage = asked.data;
  const data = useMemo<ChartData>(() => {
    if (!usage) return { times: [], series: [] };
    const [times, points] = filled(usage, usage.trend);
    return {
      times,
      series: [
        ...(usage.allowed === null
          ? []
          : [{ label: 'Admitted', tone: 'info' as const, values: points.map((point) => point?.allowed ?? 0) }]),
        { label: 'Refused', tone: 'bad', values: points.map((point) => point?.refused ?? 0) },
        ...(usage.would_refuse > 0
          ? [{ label: 'Would be refused', tone: 'warn' as const, values: points.map((one) => one?.would_refuse ?? 0) }]
          : []),
      ],
    };
  }, [usage]);
  if (!usage) return null;
  const checked = usage.allowed === null ? null : usage.allowed + usage.refused;
  return (
    <>
      <Section title="What it did in the time range">
        <KeyValue
          of={[
            ['Checked', checked === null ? UNTOLD : count(checked)],
            ['Refused', `${count(usage.refused)}${checked ? ` (${percent(usage.refused / checked)})` : ''}`],
            ['Would be refused', usage.would_refuse > 0 ? `${count(usage.would_refuse)}, while in shadow` : ''],
          ]}
        />
        {(checked ?? usage.refused) + usage.would_refuse > 0 && (
          <TimeChart label="Admitted and refused by the rule" data={data} format={compact} kind="bars" height={120} />
        )}
      </Section>
      <Section title="Near its limits now">
        {usage.near_limits.length > 0 ? (
          <NearBars near={usage.near_limits} />
        ) : (
          <p className="faint">Nobody has used 80 % of one, as the worker sees it that answers.</p>
        )}
      </Section>
      <Section title={rule.shadow ? 'Whom it would have refused lately' : 'Latest refusals'}>
        <LatestRefusals rule={rule.name} tenant={rule.tenant} shadow={rule.shadow} />
      </Section>
    </>
  );
}
