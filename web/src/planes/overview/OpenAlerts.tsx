import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { lazy } from 'react';
import { IncidentTitle } from '../../alerts/IncidentTitle.tsx';
import { byUrgency, type Incident, told } from '../../alerts/incidents.ts';
import { api } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import type { Happening } from '../../live/source.ts';
import { useFresh } from '../../live/useFresh.ts';
import { ago } from '../../time/format.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { IconCircleCheck } from '../../ui/icons.ts';
import { May } from '../../ui/May.tsx';
import { Message } from '../../ui/Message.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useDialog } from '../../ui/useDialog.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { ALERTS } from './first.ts';
import style from './Lists.module.css';

const load = () => import('./SinksDialog.tsx').then((module) => ({ default: module.SinksDialog }));
const SinksDialog = lazy(load);

const KEYS = [['/alerts']];
const concerns = (event: Happening) =>
  event.plane === 'alerts' || event.plane === 'health' || event.kind.startsWith('alert');

/** Alerts that fire now, the worst first. */
export function OpenAlerts() {
  const asked = useGet(ALERTS.path, ALERTS.query, { fresh: true });
  useFresh(KEYS, concerns);
  const items = byUrgency(asked.data?.items ?? []);
  return (
    <Panel
      title="Open alerts"
      of={asked}
      actions={
        <May operation="alerts_test_sinks">
          <Sinks />
        </May>
      }
      empty={items.length === 0}
      whenEmpty={
        <Message
          icon={<IconCircleCheck size={28} />}
          title="No alert fires"
          text="Rules and failures are watched every few seconds."
        />
      }
    >
      <ul className={style.list}>
        {items.slice(0, 50).map((incident) => (
          <Firing key={incident.id} incident={incident} />
        ))}
      </ul>
    </Panel>
  );
}

function Sinks() {
  const { open, dialog } = useDialog(load, (shown) => <SinksDialog {...shown} />);
  return (
    <>
      <Button size="compact-xs" variant="default" onClick={open}>
        Where they go
      </Button>
      {dialog}
    </>
  );
}

function Firing({ incident }: { incident: Incident }) {
  const { now } = useView();
  const moment = useMoment();
  const queries = useQueryClient();
  return (
    <li className={style.item}>
      <StatusBadge state={incident.severity} />
      <div className={style.text}>
        <IncidentTitle incident={incident} className={style.title} />
        <span className="faint" title={incident.summary}>
          {told(incident).detail}
        </span>
      </div>
      <time className={style.when} dateTime={incident.started_at} title={moment(incident.started_at, 'iso')}>
        {ago(incident.started_at, now)}
      </time>
      {incident.acknowledged_by ? (
        <StatusBadge state="acknowledged" label={`seen by ${incident.acknowledged_by}`} />
      ) : (
        <ConfirmAction
          operation="alerts_acknowledge_alert"
          label="Acknowledge"
          reason="none"
          done="Acknowledged"
          button={{ size: 'compact-xs' }}
          onConfirm={async () => {
            const params = { path: { id: incident.id } };
            await sent(api.POST('/api/admin/enterprise/alerts/{id}/acknowledge', { params }));
            await queries.invalidateQueries({ queryKey: ['/alerts'] });
          }}
        >
          Others see that you look after it. It stays open until its cause is gone.
        </ConfirmAction>
      )}
    </li>
  );
}
