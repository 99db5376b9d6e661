/** Write a rule, see what it promises while one types, replay recorded calls against it, then save it. */
import { Button, NumberInput, Select, Switch, TextInput } from '@mantine/core';
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
      await sent(api.PATCH('/api/admin/enterprise/rate-limits/rules/{rule_id}', { params, body }));
    } else {
      await sent(api.POST('/api/admin/enterprise/rate-limits/rules', { params: { query }, body: { name, ...body } }));
    }
    for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
    set({ ...searchOf({}), view: 'rules', open: name, edit: undefined, run: undefined });
  }
  return (
    <>
      <Panel
        title={editing ? `Change ${draft.name ?? 'a rule'}` : 'A new rule'}
        note="Nothing counts before it is saved. Try it on the calls of the chosen stretch of time first."
      >
        <div className={style.editor}>
          <TextInput
            label="Name"
            description="In headers, figures and the audit trail"
            value={draft.name ?? ''}
            maxLength={100}
            disabled={editing !== undefined}
            onChange={(event) => write({ name: event.currentTarget.value })}
          />
          <TextInput
            label="Limits"
            description="100/minute; 2000/day · burst · calendar month · concurrent"
            placeholder="5/minute; 100/day"
            value={draft.limits ?? ''}
            maxLength={500}
            error={draft.limits && check.data && !check.data.valid ? 'See below' : undefined}
            onChange={(event) => write({ limits: event.currentTarget.value })}
          />
          <TextInput
            label="Count by"
            description="ip, user, api_key, tenant, or several with +"
            value={draft.by ?? 'ip'}
            maxLength={64}
            onChange={(event) => write({ by: event.currentTarget.value })}
          />
          <TextInput
            label="Path"
            description="/items/{id}, /api/*, or * for every path"
            value={draft.route ?? '*'}
            maxLength={256}
            onChange={(event) => write({ route: event.currentTarget.value })}
          />
          <TextInput
            label="Methods"
            description="Separated by commas; none for all"
            placeholder="POST, PUT"
            value={draft.methods ?? ''}
            onChange={(event) => write({ methods: event.currentTarget.value })}
          />
          <TextInput
            label="Except"
            description="Paths that it does not hold for"
            placeholder="/api/health"
            value={draft.exempt ?? ''}
            onChange={(event) => write({ exempt: event.currentTarget.value })}
          />
          <NumberInput
            label="Cost"
            description="Units of a request"
            min={1}
            max={1_000_000}
            allowDecimal={false}
            hideControls
            value={Number(draft.cost ?? 1)}
            onChange={(to) => write({ cost: String(to) })}
          />
          <NumberInput
            label="Lease"
            description="Units that an instance takes from Redis at once"
            min={1}
            allowDecimal={false}
            hideControls
            value={units(draft.lease)}
            onChange={(to) => write({ lease: String(to) })}
          />
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
          </div>
        </div>
      </Panel>
      {asked && <WhatIf draft={asked} />}
    </>
  );
}
