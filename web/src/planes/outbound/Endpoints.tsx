/** Where webhooks are sent to: each endpoint with its state and how it does. */
import { SegmentedControl, Skeleton } from '@mantine/core';
import { useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useMemo } from 'react';
import { useRows, useTimed } from '../../api/hooks.ts';
import { useMay } from '../../api/may.ts';
import { boot } from '../../boot.ts';
import { useFresh } from '../../live/useFresh.ts';
import { WebhookParts } from '../../shell/WebhookParts.tsx';
import { ago, count, duration, percent } from '../../time/format.ts';
import { type Column, DataTable } from '../../ui/DataTable.tsx';
import { Opened } from '../../ui/Detail.tsx';
import { IconWebhook } from '../../ui/icons.ts';
import { OpenRow } from '../../ui/OpenRow.tsx';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Hint, installUrl } from '../../ui/Snippet.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useSetSearch, useView } from '../../view/view.ts';
import { Catalogue } from './Catalogue.tsx';
import { EndpointDetail } from './EndpointDetail.tsx';
import { EndpointForm } from './EndpointForm.tsx';
import { concerns, KEYS, type Listed, lastAttempt, stateOf, TONES, whyOf } from './model.ts';
import { PortalButton } from './PortalButton.tsx';
import type { OutboundSearch } from './routes.ts';

const Courses = lazy(() => import('./Courses.tsx').then((module) => ({ default: module.Courses })));

const CHOICES = [
  { value: '', label: 'All' },
  { value: 'enabled', label: 'Enabled' },
  { value: 'paused', label: 'Paused' },
  { value: 'disabled', label: 'Disabled' },
];

export function Endpoints() {
  const { only }: OutboundSearch = useSearch({ strict: false });
  const set = useSetSearch();
  const may = useMay();
  const moment = useMoment();
  const { now } = useView();
  useFresh(KEYS, concerns);
  const { rows, hasMore, loadMore, asked } = useRows('/webhook-configurations', { state: only }, { timed: false });
  const figures = useTimed('/webhook-delivery-analytics');
  const known = useMemo(
    () => new Map((figures.data?.by_endpoint ?? []).map((each) => [each.endpoint_id, each])),
    [figures.data],
  );
  const columns = useMemo<Column<Listed>[]>(
    () => [
      {
        id: 'url',
        header: 'Endpoint',
        cell: (row) =>
          row.source ? (
            <span title={`What the source ${row.source} sends is forwarded to ${row.url}`}>
              {row.source} → {row.url}
            </span>
          ) : (
            <span title={row.url}>{row.url}</span>
          ),
        value: (row) => row.url,
      },
      {
        id: 'state',
        header: 'State',
        cell: (row) => <StatusBadge state={row.condition} tone={TONES[row.condition]} label={stateOf(row)} />,
        value: stateOf,
        width: 146,
      },
      {
        id: 'reason',
        header: 'Reason',
        cell: (row) => <span title={row.reasons.join('. ')}>{whyOf(row, now)}</span>,
        value: (row) => row.reasons.join('. '),
        width: 232,
      },
      { id: 'tenant', header: 'Tenant', cell: (row) => row.tenant, value: (row) => row.tenant, width: 80 },
      {
        id: 'event_types',
        header: 'Event types',
        cell: (row) => <span title={row.event_types.join(', ')}>{row.event_types.join(', ')}</span>,
        value: (row) => row.event_types.join(' '),
        width: 120,
      },
      {
        id: 'attempts',
        header: 'Attempts',
        cell: (row) => count(known.get(row.id)?.attempts ?? 0),
        value: (row) => known.get(row.id)?.attempts ?? 0,
        width: 80,
        align: 'right',
      },
      {
        id: 'success_rate',
        header: 'Success',
        cell: (row) => percent(known.get(row.id)?.success_rate),
        value: (row) => known.get(row.id)?.success_rate ?? null,
        width: 76,
        align: 'right',
      },
      {
        id: 'p95_ms',
        header: 'p95',
        cell: (row) => duration(known.get(row.id)?.p95_ms),
        value: (row) => known.get(row.id)?.p95_ms ?? null,
        width: 76,
        align: 'right',
      },
      {
        id: 'last_attempt_at',
        header: 'Last attempt',
        cell: (row) => {
          const at = lastAttempt(row);
          if (at === null) return 'never';
          return (
            <time dateTime={at} title={moment(at, 'iso')}>
              {ago(at, now)}
            </time>
          );
        },
        value: lastAttempt,
        width: 104,
      },
    ],
    [known, moment, now],
  );
  return (
    <Page
      title="Webhooks"
      part="Endpoints"
      by={['only']}
      actions={
        <>
          {may('outbound_list_portal_links') && <PortalButton />}
          {may('outbound_create_webhook_configuration') && <EndpointForm />}
        </>
      }
    >
      <WebhookParts current="endpoints" />
      <Panel
        title="Endpoints"
        note="attempts, success and p95 are those of the time range"
        of={[asked, figures]}
        flush
        actions={
          <SegmentedControl
            size="xs"
            data={CHOICES}
            value={only ?? ''}
            aria-label="In which state"
            onChange={(to) => set({ only: to || undefined })}
          />
        }
        empty={rows.length === 0}
        whenEmpty={
          <Hint
            icon={<IconWebhook size={28} />}
            title={only ? `No endpoint is ${only}` : 'Nothing is sent anywhere yet'}
            text="Add an endpoint above, or from a script; then emit an event with custodes.outbound.emit:"
            snippet={`curl -X POST ${installUrl(boot.root)}/api/admin/enterprise/webhook-configurations \\\n  -H "X-API-Key: $CUSTODES_KEY" -H "Content-Type: application/json" \\\n  -d '{"url": "https://example.com/hooks", "event_types": ["order.*"]}'`}
          />
        }
      >
        <DataTable
          label="Webhook endpoints"
          columns={columns}
          rows={rows}
          rowId={(row) => row.id}
          name="webhook-endpoints"
          hasMore={hasMore}
          loadMore={loadMore}
          least={1140}
          link={(row, children) => <OpenRow id={row.id}>{children}</OpenRow>}
        />
      </Panel>
      {rows.length > 0 && (
        <Suspense fallback={<Skeleton height={260} radius="sm" />}>
          <Courses />
        </Suspense>
      )}
      <Catalogue />
      <Opened title="Webhook endpoint" below="/webhooks/endpoints" also={['delivery', 'missed', 'versus']}>
        {(id) => <EndpointDetail id={id} />}
      </Opened>
    </Page>
  );
}
