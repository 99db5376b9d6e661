/** The compliance report of a period, to read, to print and to take away (SOC 2 CC6 and CC7; GDPR articles 5, 30, 32). */
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Schemas } from '../../api/client.ts';
import { useTimed } from '../../api/hooks.ts';
import { boot } from '../../boot.ts';
import { count, length, span, zoneName } from '../../time/format.ts';
import { IconDownload } from '../../ui/icons.ts';
import { KeyValue } from '../../ui/KeyValue.tsx';
import { Page } from '../../ui/Page.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { Scroll } from '../../ui/Scroll.tsx';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment, useView } from '../../view/view.ts';
import { reference, STATES } from './model.ts';
import style from './Report.module.css';

type Found = Schemas['ReportModel'];

/** Milliseconds. */
const DAY = 86_400_000;

export function Report() {
  const asked = useTimed('/compliance-report');
  const { when, span: range, zone } = useView();
  const file = (format: string) =>
    `${boot.root}/api/admin/enterprise/compliance-report?${new URLSearchParams({ ...when, format, take: 'true' })}`;
  return (
    <Page
      title="Compliance report"
      back={
        <Link to="/audit" search={(kept) => kept}>
          Security audit
        </Link>
      }
      actions={
        <>
          {['csv', 'json'].map((format) => (
            <Button
              key={format}
              size="xs"
              variant="default"
              component="a"
              href={file(format)}
              download
              leftSection={<IconDownload size={15} aria-hidden="true" />}
            >
              {format.toUpperCase()}
            </Button>
          ))}
          <Button size="xs" variant="default" onClick={() => window.print()}>
            Print
          </Button>
        </>
      }
    >
      <Panel
        title={span(range.from, range.to, zone)}
        note={`the period of this report; moments in ${zoneName(zone)}`}
        of={asked}
        height={600}
      >
        {asked.data && <Whole report={asked.data} />}
      </Panel>
    </Page>
  );
}

function Whole({ report }: { report: Found }) {
  const moment = useMoment();
  const when = (at: string | null) => (at ? moment(at, 'minute') : 'never');
  const scope = (tenant: string | null) => tenant ?? 'all tenants';
  const waiting = (report.reviews.open ?? 0) + (report.reviews.acknowledged ?? 0);
  const decided = Object.values(report.reviews).reduce((sum, each) => sum + each, 0) - waiting;
  return (
    <div className={style.report}>
      <Part title="Summary" about="What this report is about, and whether the trail it rests on was kept whole.">
        <KeyValue
          of={[
            ['Made', moment(report.made_at)],
            ['Of', scope(report.tenant)],
            ['Audit trail', <StatusBadge key="trail" state={report.trail_state} />],
            ['What was not recorded well', report.trail_reasons.join('; ')],
            [
              'Entries',
              `${count(report.entries)}${report.entries ? `, places ${count(report.first_sequence)} to ${count(report.last_sequence)} in the trail` : ''}`,
            ],
            ['Flags', `${count(waiting + decided)}: ${count(decided)} decided, ${count(waiting)} waiting`],
            [
              'Median time to a verdict',
              report.median_to_verdict_us === null
                ? 'no verdict in the period'
                : length(report.median_to_verdict_us / 1_000),
            ],
            ['Oldest that waits', report.oldest_waiting_at ? moment(report.oldest_waiting_at) : 'nothing waits'],
          ]}
        />
      </Part>
      <Part
        title="Who has access"
        about={`When the report was made. Disabled besides: ${count(report.access_disabled)}. SOC 2 CC6.1 to CC6.3.`}
        cut={report.access_cut}
      >
        <Table
          label="Who has access"
          head={['Who', 'Vouched for by', 'Role', 'Sees', 'Since', 'Last seen']}
          rows={report.access.map((one) => [
            one.display_name ? `${one.subject} (${one.display_name})` : one.subject,
            one.issuer,
            one.role,
            scope(one.tenant),
            when(one.created_at),
            when(one.last_seen_at),
          ])}
        />
      </Part>
      <Part title="API keys that work" cut={report.api_keys_cut}>
        <Table
          label="API keys that work"
          head={['Name', 'Begins with', 'Role', 'Sees', 'Since', 'Ends', 'Last used']}
          rows={report.api_keys.map((one) => [
            one.name,
            one.prefix,
            one.role,
            scope(one.tenant),
            when(one.created_at),
            when(one.expires_at),
            when(one.last_used_at),
          ])}
        />
      </Part>
      <Part
        title="Privileged actions"
        about="They change who may do what, or switch a protection off. SOC 2 CC6.2, CC8.1."
      >
        <Tallies label="Privileged actions" of={report.privileged} />
      </Part>
      <Part title="Admin actions" about="What administrators did, or were refused." cut={report.admin_actions_cut}>
        <Tallies label="Admin actions" of={report.admin_actions} />
      </Part>
      <Part title="Sign-ins" about="Those that failed too. SOC 2 CC6.1, CC7.2." cut={report.sign_ins_cut}>
        <Tallies label="Sign-ins" of={report.sign_ins} />
      </Part>
      <Part
        title="Flagged entries"
        about="What was unusual, and what became of it. SOC 2 CC7.2 to CC7.4; GDPR article 33."
        cut={report.flagged_cut}
      >
        <Table
          label="Flagged entries"
          head={['When', 'Action', 'Actor', 'Risk', 'Entries', 'Review', 'By', 'Note']}
          figures={['Risk', 'Entries']}
          rows={report.flagged.map((entry) => [
            when(entry.recorded_at),
            entry.action,
            reference(entry.actor),
            String(entry.risk_score),
            count(entry.occurrences),
            entry.review ? STATES[entry.review.state].label : '',
            entry.review?.by ?? '',
            entry.review?.note ?? '',
          ])}
        />
      </Part>
      <Part title="Retention in force" about="What is deleted when, and when that last ran. GDPR article 5(1)(e).">
        <Table
          label="Retention in force"
          head={['Policy', 'What goes', 'Kept', 'Last run', 'Removed']}
          figures={['Removed']}
          rows={report.retention.map((policy) => [
            policy.name,
            policy.description,
            length(policy.keep_days * DAY),
            when(policy.last_run?.started_at ?? null),
            removed(policy.last_run),
          ])}
        />
      </Part>
    </div>
  );
}

/** What the last run took away: unknown to those who see one tenant, for it counts all of them. */
function removed(run: Found['retention'][number]['last_run']): string {
  if (run?.error) return 'failed';
  return typeof run?.removed === 'number' ? count(run.removed) : '';
}

function Part({ title, about, cut, children }: { title: string; about?: string; cut?: boolean; children: ReactNode }) {
  return (
    <section className={style.part}>
      <h3>{title}</h3>
      {about && <p className={style.about}>{about}</p>}
      {children}
      {cut && <p className={style.about}>There are more lines than are told here: take a shorter period.</p>}
    </section>
  );
}

function Tallies({ label, of }: { label: string; of: Found['sign_ins'] }) {
  const moment = useMoment();
  return (
    <Table
      label={label}
      head={['Actor', 'Action', 'Outcome', 'Times', 'Addresses', 'Last']}
      figures={['Times', 'Addresses']}
      rows={of.map((one) => [
        one.actor,
        one.action,
        one.outcome,
        count(one.events),
        count(one.addresses),
        moment(one.last_at, 'minute'),
      ])}
    />
  );
}

/** A plain table: a report is printed whole, so nothing of it is left out of the page. */
function Table({
  label,
  head,
  rows,
  figures = [],
}: {
  label: string;
  head: readonly string[];
  rows: readonly (readonly string[])[];
  /** Columns of figures, which stand below each other digit by digit. */
  figures?: readonly string[];
}) {
  const align = (name: string | undefined) => (name && figures.includes(name) ? 'right' : undefined);
  if (rows.length === 0) return <p className={style.about}>None.</p>;
  return (
    <Scroll className={style.scroll} aria-label={label}>
      <table className={style.table}>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col" data-align={align(name)}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((cells, row) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the lines of a report have no other identity
            <tr key={row}>
              {cells.map((cell, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its column
                <td key={at} data-align={align(head[at])}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
