/** What the limits let through and refused over the range, who was refused most, who is about to be, and the engine. */
import { useMemo } from 'react';
import { useGet, useTimed } from '../../api/hooks.ts';
import { compact, count, percent } from '../../time/format.ts';
import { counted, courseOf, earlier, filled } from '../../ui/chart/steps.ts';
import { IconHandStop } from '../../ui/icons.ts';
import { Row } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint } from '../../ui/Snippet.tsx';
import { StatCard, StatCards } from '../../ui/StatCard.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { useView } from '../../view/view.ts';
import { EnginePanel } from './Engine.tsx';
import { UNTOLD } from './model.ts';
import { NearLimits } from './NearLimits.tsx';
import { Ranking } from './Ranking.tsx';

export function Usage() {
  const view = useView();
  const asked = useTimed('/rate-limits/analytics');
  const before = useTimed('/rate-limits/analytics', {}, { which: 'before' });
  const summary = useTimed('/rate-limit-summary');
  const rules = useGet('/rate-limits/rules', undefined, { fresh: true });
  const answer = asked.data;
  const last = view.before ? before.data : undefined;
  const data = useMemo<ChartData>(() => {
    if (!answer) return { times: [], series: [] };
    const [times, points] = filled(answer, answer.trend);
    const old = last ? earlier(times, answer, last, last.trend) : null;
    return {
      times,
      series: [
        ...(answer.allowed === null
          ? []
          : [{ label: 'Admitted', tone: 'info' as const, values: points.map((point) => point?.allowed ?? 0) }]),
        { label: 'Refused', tone: 'bad', values: points.map((point) => point?.refused ?? 0) },
        { label: 'Refused by a shadow rule', tone: 'warn', values: points.map((point) => point?.would_refuse ?? 0) },
        ...(old ? [{ label: 'Refused before', before: true, values: counted(old, (point) => point.refused) }] : []),
      ],
    };
  }, [answer, last]);
  const nothing = answer !== undefined && (answer.allowed ?? 0) + answer.refused + answer.would_refuse === 0;
  const past = before.data;
  const heldBefore = past && (past.allowed ?? 0) + past.refused + past.would_refuse > 0;
  // Of this moment while the range ends with it; of a stretch that is over, as it was at its end.
  const blocks = (view.bounds.to === 'now' ? summary.data : answer)?.blocks_in_force ?? undefined;
  return (
    <>
      <StatCards>
        <StatCard
          label="Refused"
          value={answer ? compact(answer.refused) : null}
          figure={answer?.refused}
          before={past?.refused}
          more="neither"
          course={courseOf(answer, answer?.trend, (point) => point.refused)}
          note="requests"
        />
        <StatCard
          label="Refused share"
          value={answer ? (answer.refusal_rate === null ? '–' : percent(answer.refusal_rate)) : null}
          figure={answer?.refusal_rate ?? undefined}
          share
          before={past && (heldBefore ? (past.refusal_rate ?? undefined) : null)}
          more="bad"
          note={answer?.refusal_rate === null ? UNTOLD : 'of units, of all rules together'}
        />
        <StatCard
          label="Admitted"
          value={answer ? (answer.allowed === null ? '–' : compact(answer.allowed)) : null}
          figure={answer?.allowed ?? undefined}
          before={past?.allowed ?? undefined}
          course={courseOf(answer, answer?.trend, (point) => point.allowed)}
          note={answer?.allowed === null ? UNTOLD : 'units, of all rules together'}
        />
        <StatCard
          label="Shadow rules would refuse"
          value={answer ? compact(answer.would_refuse) : null}
          figure={answer?.would_refuse}
          before={past && (heldBefore ? past.would_refuse : null)}
          note="requests"
        />
        <StatCard
          label="Blocks in force"
          value={blocks === undefined ? null : count(blocks)}
          figure={blocks}
          before={past?.blocks_in_force ?? undefined}
          few
          ofMoment
          tone={blocks ? 'warn' : undefined}
        />
        <StatCard
          label="Rules"
          value={rules.data ? count(rules.data.filter((rule) => rule.enabled).length) : null}
          note={
            rules.data && `${count(rules.data.filter((rule) => rule.shadow && rule.enabled).length)} of them in shadow`
          }
        />
      </StatCards>
      <Panel
        title="Usage and refusals"
        note="whole minutes; counts are written every ten seconds"
        of={asked}
        empty={nothing}
        whenEmpty={
          <Hint
            icon={<IconHandStop size={28} />}
            title="No limit counted anything in this stretch of time"
            text="A rule in code, or one made under Rules, counts from the next request on:"
            snippet={'custodes.limit("5/minute; 100/day", by="ip", route="/login", methods="POST")'}
          />
        }
      >
        <TimeChart label="Admitted and refused over time" data={data} format={compact} kind="bars" />
      </Panel>
      <Row least={420}>
        <Ranking title="Rules" note="refused most" asked={asked} rows={answer?.rules} kind="rule" />
        <Ranking title="Endpoints" note="refused most" asked={asked} rows={answer?.endpoints} kind="endpoint" />
      </Row>
      <Row least={340}>
        <Ranking title="Addresses" note="refused most" asked={asked} rows={answer?.addresses} kind="ip" />
        <Ranking title="Users" note="refused most" asked={asked} rows={answer?.users} kind="user" />
        <Ranking title="API keys" note="refused most" asked={asked} rows={answer?.api_keys} kind="api_key" />
      </Row>
      <Row least={420}>
        <NearLimits asked={summary} />
        <EnginePanel />
      </Row>
      {summary.data && summary.data.reasons.length > 0 && (
        <Panel title="What is not well">
          <ul>
            {summary.data.reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </Panel>
      )}
    </>
  );
}
