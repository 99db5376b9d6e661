/** Write a rule, see what it promises while one types, replay recorded calls against it, then save it. */
import {
  Button,
  NumberInput,
  type NumberInputProps,
  Select,
  Switch,
  TextInput,
  type TextInputProps,
} from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useSearch } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { api } from '../../api/client.ts';
import { get, sent } from '../../api/hooks.ts';
import { ConfirmAction } from '../../ui/ConfirmAction.tsx';
import { May } from '../../ui/May.tsx';
import { Panel } from '../../ui/Panel.tsx';
import { useSetSearch } from '../../view/view.ts';
import { type Draft, draftOf, ruleOf, searchOf, units } from './draft.ts';
import { KEYS } from './model.ts';
import style from './RateLimits.module.css';
import type { RateLimitSearch } from './routes.ts';
import { Verdict } from './Verdict.tsx';
import { WhatIf } from './WhatIf.tsx';

/** So long after the last key the server is asked, milliseconds. */
const PAUSE = 250;

const FAILURES = [
  { value: '', label: 'As the install has chosen' },
  { value: 'degraded', label: "Hold to this instance's part" },
  { value: 'open', label: 'Let requests through' },
  { value: 'closed', label: 'Refuse with 503' },
];

const TEXTS = [
  { name: 'name', label: 'Name', description: 'In headers, figures and the audit trail', maxLength: 100 },
  {
    name: 'limits',
    label: 'Limits',
    description: 'Such as 100/minute; 2000/day',
    placeholder: '5/minute; 100/day',
    maxLength: 500,
  },
  {
    name: 'by',
    label: 'Count by',
    description: 'ip, user, api_key, tenant, or several with +',
    usual: 'ip',
    maxLength: 64,
  },
  {
    name: 'route',
    label: 'Path',
    description: '/items/{id}, /api/*, or * for every path',
    usual: '*',
    maxLength: 256,
  },
  { name: 'methods', label: 'Methods', description: 'Separated by commas; none for all', placeholder: 'POST, PUT' },
  { name: 'exempt', label: 'Except', description: 'Paths that it does not hold for', placeholder: '/api/health' },
] satisfies ({ name: keyof Draft; usual?: string } & TextInputProps)[];

const NUMBERS = [
  { name: 'cost', label: 'Cost', description: 'Units of a request', max: 1_000_000 },
  { name: 'lease', label: 'Lease', description: 'Units an instance takes at once; only on Redis' },
] satisfies ({ name: keyof Draft } & NumberInputProps)[];

export function Editor() {
  const search: RateLimitSearch = useSearch({ strict: false });
  const set = useSetSearch();
  const queries = useQueryClient();
  const [draft, setDraft] = useState<Draft>(() => draftOf(search as Record<string, unknown>));
  const [asked, setAsked] = useState<Draft | null>(search.run === 'yes' ? draft : null);
  const [settled, setSettled] = useState(draft);
  const editing = search.edit;

  useEffect(() => {
    const timer = window.setTimeout(() => {
      setSettled(draft);
      set(searchOf(draft), { replace: true });
    }, PAUSE);
    return () => window.clearTimeout(timer);
  }, [draft, set]);

  const { cost: _, ...rule } = ruleOf(settled);
  const checked = { ...rule, lease: units(settled.lease) };
  const check = useQuery({
    queryKey: ['/rate-limits/rule-check', checked],
    queryFn: ({ signal }) => get('/rate-limits/rule-check', checked, { signal }),
    enabled: checked.limits !== '',
    placeholderData: (before) => before,
  });
  const valid = check.data?.valid === true && draft === settled && !check.isPlaceholderData;
  const refused = draft.limits && check.data && !check.data.valid;
  const missing = whatIsMissing(draft, { valid, refused: Boolean(refused) });
  const write = (change: Draft) => setDraft((before) => ({ ...before, ...change }));

  function replay(): void {
    setAsked(draft);
    set({ ...searchOf(draft), run: 'yes' }, { replace: true });
  }
  async function save(reason: string): Promise<void> {
    const { name, ...rest } = ruleOf(draft);
    const body = {
      ...rest,
      shadow: draft.shadow !== 'no',
      enabled: draft.off !== 'yes',
      on_failure: draft.fail ?? null,
      lease: units(draft.lease),
    };
    const query = { reason };
    if (editing) {
      const params = { path: { rule_id: editing }, query };
      const change = { ...body, version: Number(search.version) || null };
      await sent(api.PATCH('/api/admin/enterprise/rate-limits/rules/{rule_id}', { params, body: change }));
    } else {
      await sent(api.POST('/api/admin/enterprise/rate-limits/rules', { params: { query }, body: { name, ...body } }));
    }
    for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
    set({ ...searchOf({}), view: 'rules', open: name, edit: undefined, version: undefined, run: undefined });
  }
  return (
    <>
      <Panel
        title={editing ? `Change ${draft.name ?? 'a rule'}` : 'A new rule'}
        note="Nothing counts before it is saved. Try it on the calls of the chosen stretch of time first."
      >
        <div className={style.editor}>
          {TEXTS.map(({ name, usual = '', ...about }) => (
            <TextInput
              key={name}
              {...about}
              value={draft[name] ?? usual}
              disabled={name === 'name' && editing !== undefined}
              error={name === 'limits' && refused ? 'See below' : undefined}
              onChange={(event) => write({ [name]: event.currentTarget.value })}
            />
          ))}
          {NUMBERS.map(({ name, ...about }) => (
            <NumberInput
              key={name}
              {...about}
              min={1}
              allowDecimal={false}
              hideControls
              value={units(draft[name])}
              onChange={(to) => write({ [name]: String(to) })}
            />
          ))}
          <Select
            label="When the engine fails"
            description="What becomes of its requests"
            data={FAILURES}
            value={draft.fail ?? ''}
            allowDeselect={false}
            onChange={(to) => write({ fail: (to || undefined) as Draft['fail'] })}
          />
          <Switch
            className={style.wide}
            label="Shadow: refuse nobody, only tell whom it would"
            checked={draft.shadow !== 'no'}
            onChange={(event) => write({ shadow: event.currentTarget.checked ? 'yes' : 'no' })}
          />
          <div className={style.wide}>
            <Verdict draft={settled} check={check} />
          </div>
          <div className={style.buttons}>
            <May operation="ratelimit_replay_what_if">
              <Button size="xs" variant="light" disabled={!valid} onClick={replay}>
                Replay recorded calls
              </Button>
            </May>
            <ConfirmAction
              operation={editing ? 'ratelimit_change_rule' : 'ratelimit_create_rule'}
              label={editing ? 'Save the change' : 'Save the rule'}
              reason="optional"
              danger={draft.shadow === 'no'}
              done={`${draft.name ?? ''} is saved`}
              disabled={!valid || !draft.name?.trim()}
              onConfirm={save}
            >
              {draft.shadow === 'no'
                ? 'It refuses requests at once in this worker, and within two seconds in the others.'
                : 'It counts at once and refuses nobody: look at Usage for whom it would refuse.'}
            </ConfirmAction>
            {missing && (
              <p role="status" className={style.missing}>
                {missing}
              </p>
            )}
          </div>
        </div>
      </Panel>
      {asked && <WhatIf draft={asked} />}
    </>
  );
}

/** Why a rule cannot be saved as it is written; nothing when it can. */
function whatIsMissing({ name, limits }: Draft, { valid, refused }: { valid: boolean; refused: boolean }): string {
  if (!limits?.trim()) return 'To be tried or saved it needs its limits.';
  if (refused) return 'It cannot be tried or saved as it is written: see above.';
  if (!valid) return 'It is being checked …';
  return name?.trim() ? '' : 'To be saved it needs a name.';
}
