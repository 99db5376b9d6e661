/** What one does first in an incident. */
import { Button, Menu } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { lazy } from 'react';
import { boot } from '../../boot.ts';
import { AccessButton } from '../../ui/AccessButton.tsx';
import { IconChartLine, IconDownload, IconRefresh } from '../../ui/icons.ts';
import { May } from '../../ui/May.tsx';
import { useDialog } from '../../ui/useDialog.tsx';
import { lasting } from '../../view/search.ts';
import { useView } from '../../view/view.ts';

const load = () => import('./ReplayDialog.tsx').then((module) => ({ default: module.ReplayDialog }));
const ReplayDialog = lazy(load);

export function Actions() {
  return (
    <>
      <AccessButton effect="block" />
      <May operation="inbound_replay_webhook_events">
        <Replay />
      </May>
      <Export />
      <Button
        size="xs"
        variant="default"
        leftSection={<IconChartLine size={15} aria-hidden="true" />}
        renderRoot={(props) => <Link to="/metrics" search={lasting as never} {...props} />}
      >
        Metrics
      </Button>
    </>
  );
}

function Replay() {
  const { open, dialog } = useDialog(load, (shown) => <ReplayDialog {...shown} />);
  return (
    <>
      <Button size="xs" variant="default" leftSection={<IconRefresh size={15} aria-hidden="true" />} onClick={open}>
        Replay failed webhooks
      </Button>
      {dialog}
    </>
  );
}

function Export() {
  const view = useView();
  const places = [
    { path: 'api-calls', label: 'API calls', format: 'CSV' },
    { path: 'webhook-events', label: 'Webhooks', format: 'NDJSON' },
    { path: 'webhook-deliveries', label: 'Outgoing deliveries', format: 'CSV' },
    { path: 'rate-limits/windows', label: 'Windows of rate limits', format: 'CSV' },
    { path: 'alerts', label: 'Alerts', format: 'CSV' },
    { path: 'system-metrics', label: 'Metrics', format: 'NDJSON' },
    { path: 'audit-logs', label: 'Audit trail', format: 'CSV' },
  ];
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <Button size="xs" variant="default" leftSection={<IconDownload size={15} aria-hidden="true" />}>
          Export
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>All of this stretch of time</Menu.Label>
        {places.map(({ path, label, format }) => (
          <Menu.Item
            key={path}
            component="a"
            href={`${boot.root}/api/admin/enterprise/${path}/export?${new URLSearchParams({
              ...view.when,
              // Labels of metrics, and what handlers have done, are objects: cells of a sheet have none.
              ...(format === 'CSV' ? { format: 'csv' } : {}),
            })}`}
            download
            rightSection={<span className="faint">{format}</span>}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
