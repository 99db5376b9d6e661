/** Deciding about one flag: who looks, what it was, and why one thinks so; by mouse or by one key each. */
import { Button, Group, Kbd, Stack, Textarea, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';
import { api, sentence } from '../../api/client.ts';
import { sent } from '../../api/hooks.ts';
import { useMay } from '../../api/may.ts';
import { me } from '../../api/session.ts';
import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { useMoment } from '../../view/view.ts';
import { type Entry, KEYS, type ReviewState, STATES, VERDICTS } from './model.ts';
import style from './Review.module.css';

interface Step {
  state: ReviewState;
  /** Whether whoever does it is the one who looks from now on. */
  mine?: boolean;
}

export function Review({ entry, onDecided }: { entry: Entry; onDecided?: (() => void) | undefined }) {
  const queries = useQueryClient();
  const moment = useMoment();
  const review = entry.review;
  const [note, setNote] = useState(review?.note ?? '');
  const [assignee, setAssignee] = useState(review?.assignee ?? '');
  const [busy, setBusy] = useState<ReviewState | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const may = useMay()('audit_review_audit_log');
  const decided = review !== null && review.state !== 'open' && review.state !== 'acknowledged';

  const take = useCallback(
    async ({ state, mine }: Step): Promise<void> => {
      setBusy(state);
      setFault(null);
      try {
        const to = mine ? (await me()).subject : undefined;
        const body = { state, note: note.trim(), assignee: (to ?? assignee).trim() };
        await sent(
          api.POST('/api/admin/enterprise/audit-logs/{id}/review', { params: { path: { id: entry.id } }, body }),
        );
        if (to !== undefined) setAssignee(to);
        notifications.show({ message: `${entry.action}: ${STATES[state].label.toLowerCase()}` });
        for (const queryKey of KEYS) void queries.invalidateQueries({ queryKey });
        if (VERDICTS.some((verdict) => verdict.state === state)) onDecided?.();
      } catch (error) {
        setFault(sentence(error));
      } finally {
        setBusy(null);
      }
    },
    [assignee, note, entry.id, entry.action, queries, onDecided],
  );
  useReviewKeys({ on: may && !decided && review !== null, busy, failed: fault !== null, take });

  return (
    <div className={style.review}>
      <div className={style.state}>
        {review ? (
          <StatusBadge state={review.state} tone={STATES[review.state].tone} label={STATES[review.state].label} />
        ) : (
          <span className="faint">
            {entry.flag_id ? 'Belongs to the review of another entry.' : 'Was not flagged; nobody has to look at it.'}
          </span>
        )}
        {review?.at && (
          <span className="faint">
            by {review.by}, {moment(review.at)}
          </span>
        )}
      </div>
      {fault && (
        <p role="alert" className={style.fault}>
          {fault}
        </p>
      )}
      {may && review && !decided && (
        <Stack gap="xs" className={style.form}>
          <Group gap="xs" align="end" wrap="nowrap">
            <TextInput
              className={style.who}
              size="xs"
              label="Looked at by"
              placeholder="nobody yet"
              maxLength={200}
              value={assignee}
              onChange={(event) => setAssignee(event.currentTarget.value)}
            />
            <Button
              size="xs"
              variant="default"
              disabled={assignee.trim() === (review.assignee ?? '')}
              onClick={() => void take({ state: 'acknowledged' })}
            >
              Assign
            </Button>
            <Button
              size="xs"
              variant="default"
              rightSection={<Kbd size="xs">A</Kbd>}
              onClick={() => void take({ state: 'acknowledged', mine: true })}
            >
              I look
            </Button>
          </Group>
          <Textarea
            size="xs"
            label="Note"
            description="What was found; kept with the verdict and in the trail"
            maxLength={4_000}
            autosize
            minRows={2}
            value={note}
            onChange={(event) => setNote(event.currentTarget.value)}
          />
          <div className={style.verdicts}>
            {VERDICTS.map(({ state, key, means }) => (
              <Button
                key={state}
                size="xs"
                variant="default"
                loading={busy === state}
                title={means}
                rightSection={<Kbd size="xs">{key.toUpperCase()}</Kbd>}
                onClick={() => void take({ state })}
              >
                {STATES[state].label}
              </Button>
            ))}
          </div>
        </Stack>
      )}
      {decided && review?.note && <p className={style.note}>{review.note}</p>}
      {may && (decided || (!review && !entry.flag_id)) && (
        <Button size="xs" variant="default" loading={busy === 'open'} onClick={() => void take({ state: 'open' })}>
          {decided ? 'Open again' : 'Put up for review'}
        </Button>
      )}
    </div>
  );
}

interface Keys {
  on: boolean;
  /** The step that is under way. */
  busy: ReviewState | null;
  /** Whether the last step was refused. */
  failed: boolean;
  take: (step: Step) => Promise<void>;
}

/**
 * One key each. What is pressed while somebody is being noted down as looking is taken right after: `A` and at once `P`
 * is both. While a verdict is under way, and after a refusal, keys are dropped: what is shown next is something else.
 */
function useReviewKeys(keys: Keys): void {
  const now = useRef(keys);
  now.current = keys;
  const waiting = useRef<Step | null>(null);
  useEffect(() => {
    function onKey(event: KeyboardEvent): void {
      const typing = event.target instanceof HTMLElement && event.target.matches('input, textarea, select');
      if (!now.current.on || typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      const step = stepOf(event.key);
      if (!step) return;
      event.preventDefault();
      if (now.current.busy === 'acknowledged') waiting.current = step;
      else if (now.current.busy === null) void now.current.take(step);
    }
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  const { busy, failed, on } = keys;
  useEffect(() => {
    if (busy !== null) return;
    const step = waiting.current;
    waiting.current = null;
    if (step && on && !failed) void now.current.take(step);
  }, [busy, failed, on]);
}

function stepOf(key: string): Step | null {
  if (key === 'a') return { state: 'acknowledged', mine: true };
  const verdict = VERDICTS.find((one) => one.key === key);
  return verdict ? { state: verdict.state } : null;
}
