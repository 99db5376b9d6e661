/** One kind of error in full: what was raised where, how often and since when, in which calls, and what was said of it. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { api } from '../../api/client.ts';
import { get, sent, useGet } from '../../api/hooks.ts';
import { ago, count, millis } from '../../time/format.ts';
import { Bars } from '../../ui/Bars.tsx';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { filled } from '../../ui/chart/steps.ts';
import { Section } from '../../ui/Detail.tsx';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { type ChartData, TimeChart } from '../../ui/TimeChart.tsx';
import { Traceback } from '../../ui/Traceback.tsx';
import { taken } from '../../ui/traceback.ts';
import { useMoment, useView } from '../../view/view.ts';
import { Asking } from './Asking.tsx';
import { LatestCalls } from './LatestCalls.tsx';
import type { ErrorGroup } from './model.ts';
import { ToPart } from './ToPart.tsx';
import style from './Traffic.module.css';

/** How often occurrences are written, milliseconds. */
const FLUSHED = 10_000;

export function ErrorDetail({ id }: { id: string }) {
  const asked = useGet('/api-errors/{id}', undefined, { path: { id }, fresh: true });
  return <Asking asked={asked}>{asked.data && <Group group={asked.data} />}</Asking>;
}

function Group({ group }: { group: ErrorGroup }) {
  const message = taken(group.traceback)[0]?.message;
  return (
    <>
      <Section title={group.title} actions={<SetState group={group} />}>
        {message && <pre className={style.message}>{message}</pre>}
        <Traceback text={group.traceback} />
      </Section>
      <Course group={group} />
      <Section
        title="Latest calls in which it was raised"
        actions={
          <ToPart whole change={{ part: 'calls', error_group: group.digest, tenant: group.tenant }}>
            All of them
          </ToPart>
        }
      >
        <LatestCalls query={{ error_group: group.digest, tenant: group.tenant }} />
      </Section>
    </>
  );
}

function Course({ group }: { group: ErrorGroup }) {
  const moment = useMoment();
  const { now, bounds, zone, when, live } = useView();
  const asked = useQuery({
    // The bounds as they are in the URL, not what they mean now: what was answered last stays on screen.
    queryKey: ['/api-errors/{id}/course', group.id, bounds, zone],
    queryFn: ({ signal }) => get('/api-errors/{id}/course', when, { path: { id: group.id }, signal }),
    refetchInterval: live && FLUSHED,
  });
  const course = asked.data;
  const data = useMemo<ChartData>(() => {
    if (!course) return { times: [], series: [] };
    const [times, points] = filled(course, course.series);
    return { times, series: [{ label: 'Occurred', tone: 'bad', values: points.map((point) => point?.count ?? 0) }] };
  }, [course]);
  return (
    <>
      <Section title="How often">
        <KeyValue
          of={[
            ['In the time range', course && `${count(course.count)} times`],
            ['In all', `${count(group.count)} times, as far back as is known`],
            ['First seen', `${moment(group.first_seen_at)} (${ago(millis(group.first_seen_at), now)})`],
            ['Last seen', `${moment(group.last_seen_at)} (${ago(millis(group.last_seen_at), now)})`],
            [
              'State',
              <span key="state">
                <StatusBadge state={group.state} />{' '}
                {`since ${moment(group.state_at)}${group.state_by ? ` by ${group.state_by}` : ''}`}
              </span>,
            ],
            ['Tenant', group.tenant],
          ]}
        />
        {course && course.count > 0 && (
          <TimeChart label="Occurrences over time" data={data} format={count} kind="bars" height={120} />
        )}
      </Section>
      {course && course.endpoints.length > 0 && (
        <Section title="Endpoints at which it was raised">
          <Bars
            label="Endpoints by calls in which it was raised"
            bars={course.endpoints.map(({ method, route, calls, last_at }) => ({
              id: `${method} ${route}`,
              value: calls,
              tone: 'bad',
              shown: `${count(calls)} ${calls === 1 ? 'call' : 'calls'}, ${ago(millis(last_at), now)}`,
              label: (
                <ToPart
                  change={{ part: 'calls', error_group: group.digest, method, route: route ?? '(unmatched)' }}
                  title="These calls"
                >
                  {method} {route ?? '(unmatched)'}
                </ToPart>
              ),
            }))}
          />
        </Section>
      )}
    </>
  );
}

function SetState({ group }: { group: ErrorGroup }) {
  const queries = useQueryClient();
  const params = { path: { id: group.id } };
  const resolved = group.state === 'resolved';
  return (
    <ConfirmAction
      operation={resolved ? 'traffic_reopen_api_error' : 'traffic_resolve_api_error'}
      label={resolved ? 'Reopen' : 'Resolve'}
      reason="none"
      done={resolved ? 'It is open again' : 'It is resolved'}
      onConfirm={async () => {
        await sent(
          resolved
            ? api.POST('/api/admin/enterprise/api-errors/{id}/reopen', { params })
            : api.POST('/api/admin/enterprise/api-errors/{id}/resolve', { params }),
        );
        await queries.invalidateQueries({ queryKey: ['/api-errors'] });
        await queries.invalidateQueries({ queryKey: ['/api-errors/{id}'] });
      }}
    >
      {resolved
        ? 'It is listed among the open errors again.'
        : 'Say that it is mended. It opens again by itself when it occurs again.'}
    </ConfirmAction>
  );
}
