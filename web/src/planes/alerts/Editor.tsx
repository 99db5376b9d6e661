/** Write an alert rule, see while one types what it would have done, then save it. */
import { Autocomplete, Button, Select, Switch, Textarea, TextInput, type TextInputProps } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useEffect, useMemo, useState } from 'react';
import { api } from '../../api/client.ts';
import { sent, useGet } from '../../api/hooks.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useSetSearch } from '../../view/view.ts';
import style from './Alerts.module.css';
import {
  AGGREGATIONS,
  bodyOf,
  COMPARATORS,
  type Draft,
  draftOfRule,
  faultsOf,
  isWhole,
  type Rule,
  searchOf,
  USUAL,
} from './draft.ts';
import { KEYS } from './model.ts';
import { draftOf, type Field } from './search.ts';
import { Trial } from './Trial.tsx';

/** So long after the last key what it would have done is asked for, milliseconds. */
const PAUSE = 300;

const SEVERITIES = [
  { value: 'info', label: 'Info: worth knowing' },
  { value: 'warning', label: 'Warning: look at it today' },
  { value: 'critical', label: 'Critical: look at it now' },
];

const HOW: Record<(typeof AGGREGATIONS)[number], string> = {
  avg: 'avg: mean',
  last: 'last value',
  max: 'max: greatest',
  min: 'min: least',
  rate: 'rate: sum a second',
  sum: 'sum',
  count: 'count of measurements',
  count_rate: 'count_rate: measurements a second',
  p50: 'p50: median of a histogram',
  p90: 'p90 of a histogram',
  p95: 'p95 of a histogram',
  p99: 'p99 of a histogram',
};

const TEXTS = [
  {
    name: 'threshold',
    label: 'Threshold',
    required: true,
    inputMode: 'decimal',
    placeholder: '0.05',
    description: 'In the unit of the metric; shares are 0 to 1',
  },
  {
    name: 'clear',
    label: 'Over when back past',
    inputMode: 'decimal',
    placeholder: 'the threshold',
    description: 'On the good side: between both nothing changes',
  },
  {
    name: 'critical',
    label: 'Critical from',
    inputMode: 'decimal',
    placeholder: 'never',
    description: 'On the bad side; told at once',
  },
  { name: 'window', label: 'Taken over', placeholder: '1m', description: 'Stretch that the figure is of, 10s to 7d' },
  { name: 'hold', label: 'Broken for', placeholder: '1m', description: 'So long before it fires' },
  { name: 'fine', label: 'Fine for', placeholder: '1m', description: 'So long before it is over' },
  {
    name: 'remind',
    label: 'Told again after',
    placeholder: '4h; 0s: never',
    description: 'While nobody has acknowledged it',
  },
  {
    name: 'by',
    label: 'One alert for each',
    placeholder: 'host, region',
    description: 'Labels of the metric; up to 50 alerts',
  },
  {
    name: 'tenant',
    label: 'Tenant',
    placeholder: 'all that you may see',
    maxLength: 64,
    description: 'Whose measurements are looked at',
  },
] satisfies ({ name: Field } & TextInputProps)[];

export function Editor({ edit }: { edit: string }) {
  const written = given(draftOf(useSearch({ strict: false }) as Record<string, unknown>));
  // A link that names the rule alone: its fields are those of the rule.
  const [named] = useState(edit !== 'new' && written.metric === undefined);
  const asked = useGet('/alert-rules/{rule_id}', undefined, { path: { rule_id: edit }, enabled: named });
  if (!named) return <Form edit={edit} begun={written} />;
  return asked.data ? (
    <Form edit={edit} begun={given(draftOfRule(asked.data))} />
  ) : (
    <Panel title="Change a rule" of={asked}>
      {null}
    </Panel>
  );
}

/** `begun`: what is written already. */
function Form({ edit, begun }: { edit: string; begun: Draft }) {
  const set = useSetSearch();
  const queries = useQueryClient();
  const [draft, setDraft] = useState<Draft>(() => ({ ...USUAL, ...begun }));
  const [settled, setSettled] = useState(draft);
  const known = useGet('/system-metrics', { limit: 200 });
  const names = [...new Set((known.data?.items ?? []).map((one) => one.name))];
  const isNew = edit === 'new';
  const faults = faultsOf(draft);
  const write = (change: Draft) => setDraft((before) => ({ ...before, ...change }));
  useEffect(() => {
    const timer = setTimeout(() => {
      setSettled(draft);
      set(searchOf(draft), { replace: true });
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [draft, set]);

  async function save(reason: string): Promise<void> {
    const body = bodyOf(draft);
    const query = { reason };
    const made = isNew
      ? api.POST('/api/admin/enterprise/alert-rules', { params: { query }, body })
      : api.PUT('/api/admin/enterprise/alert-rules/{rule_id}', { params: { path: { rule_id: edit }, query }, body });
    const { id } = await sent<Rule>(made);
    for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
    set({ ...searchOf({}), edit: undefined, open: id });
  }
  return (
    <>
      <Panel title={isNew ? 'A new alert rule' : `Change ${draft.name ?? 'a rule'}`}>
        <div className={style.editor}>
          <TextInput
            label="Name"
            className={style.wide}
            value={draft.name ?? ''}
            required
            maxLength={300}
            placeholder="The queue is deep"
            onChange={(event) => write({ name: event.currentTarget.value })}
          />
          <Autocomplete
            label="Metric"
            description="Its name, as under Metrics"
            data={names}
            value={draft.metric ?? ''}
            required
            maxLength={100}
            limit={30}
            placeholder="queue.depth"
            onChange={(to) => write({ metric: to })}
          />
          <Select
            label="What of it"
            description="Rates, sums and counts of a silent metric are 0"
            data={AGGREGATIONS.map((value) => ({ value, label: HOW[value] }))}
            value={draft.as ?? USUAL.as}
            allowDeselect={false}
            onChange={(to) => write({ as: to ?? USUAL.as })}
          />
          <Select
            label="Compared"
            description="The figure with the threshold"
            data={[...COMPARATORS]}
            value={draft.op ?? USUAL.op}
            allowDeselect={false}
            onChange={(to) => write({ op: to ?? USUAL.op })}
          />
          {TEXTS.map(({ name, ...about }) => (
            <TextInput
              key={name}
              {...about}
              value={draft[name] ?? ''}
              error={faults[name]}
              onChange={(event) => write({ [name]: event.currentTarget.value })}
            />
          ))}
          <Select
            label="Severity"
            description="Below what is critical"
            data={SEVERITIES}
            value={draft.severity ?? USUAL.severity}
            allowDeselect={false}
            onChange={(to) => write({ severity: to ?? USUAL.severity })}
          />
          <Textarea
            label="Only with these labels"
            description="One a line; none: all measurements"
            placeholder="region: eu"
            autosize
            minRows={1}
            value={draft.labels ?? ''}
            error={faults.labels}
            onChange={(event) => write({ labels: event.currentTarget.value })}
          />
          <TextInput
            className={style.wide}
            label="Message"
            description="{name}, {value}, {percent}, {threshold}, {labels} and each label by its name are filled in"
            maxLength={300}
            value={draft.message ?? ''}
            onChange={(event) => write({ message: event.currentTarget.value })}
          />
          <Switch
            className={style.wide}
            label="On: it is looked at"
            checked={draft.off !== 'yes'}
            onChange={(event) => write({ off: event.currentTarget.checked ? '' : 'yes' })}
          />
          <div className={style.buttons}>
            <ConfirmAction
              operation={isNew ? 'alerts_create_rule' : 'alerts_replace_rule'}
              label={isNew ? 'Save the rule' : 'Save the change'}
              reason="optional"
              done={`${draft.name ?? ''} is saved`}
              disabled={!isWhole(draft)}
              onConfirm={save}
            >
              {draft.off === 'yes'
                ? 'It is kept, and not looked at until it is switched on.'
                : 'It is looked at within ten seconds, and every ten seconds from then on.'}
            </ConfirmAction>
            <Button
              size="xs"
              variant="subtle"
              onClick={() => set({ ...searchOf({}), edit: undefined, open: isNew ? undefined : edit })}
            >
              Cancel
            </Button>
          </div>
        </div>
      </Panel>
      <Panel title="What it would have done" note="in the chosen stretch of time">
        <Tried draft={settled} />
      </Panel>
    </>
  );
}

function Tried({ draft }: { draft: Draft }) {
  const rule = useMemo(() => (isWhole({ ...draft, name: draft.name?.trim() || '–' }) ? bodyOf(draft) : null), [draft]);
  if (rule) return <Trial rule={rule} />;
  const missing = !draft.metric?.trim() || !draft.threshold?.trim();
  return <p className="faint">{missing ? 'Name a metric and a threshold.' : 'Something above is not right yet.'}</p>;
}

/** What is written, and only that. */
function given(draft: Draft): Draft {
  return Object.fromEntries(Object.entries(draft).filter(([, value]) => value !== undefined));
}
