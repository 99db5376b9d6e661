/** Two attempts side by side: what differs, field by field. Which two is in the URL, as `versus`. */
import { Button, NativeSelect } from '@mantine/core';
import { useSearch } from '@tanstack/react-router';
import { useSetSearch } from '../view/view.ts';
import style from './Comparison.module.css';
import { chosen, differences, type Fields } from './comparison.ts';
import { Diff } from './Diff.tsx';

export interface Compared {
  /** In the URL. */
  id: string;
  /** In the choice: `Attempt 2, failed`. */
  label: string;
  fields: Fields;
}

interface ComparisonProps {
  /** What there is, oldest first; fewer than two cannot be compared. */
  of: readonly Compared[];
  /** What is the same in all of them, and why. */
  note: string;
}

export function Comparison({ of, note }: ComparisonProps) {
  const { versus }: { versus?: string[] } = useSearch({ strict: false });
  const set = useSetSearch();
  const ids = of.map((one) => one.id);
  const pair = chosen(ids, versus ?? []);
  if (!pair) return null;
  if (!versus) {
    return (
      <Button size="compact-xs" variant="default" onClick={() => set({ versus: pair })}>
        Compare two attempts
      </Button>
    );
  }
  const [one, other] = pair;
  const [first, second] = pair.map((id) => of.find((each) => each.id === id));
  const { changes, same } = differences(first?.fields ?? {}, second?.fields ?? {});
  const choices = of.map(({ id, label }) => ({ value: id, label }));
  return (
    <section className={style.whole} aria-label="Two attempts compared">
      <div className={style.choice}>
        <NativeSelect
          size="xs"
          label="Compare"
          data={choices}
          value={one}
          onChange={(event) => set({ versus: [event.currentTarget.value, other] })}
        />
        <NativeSelect
          size="xs"
          label="with"
          data={choices}
          value={other}
          onChange={(event) => set({ versus: [one, event.currentTarget.value] })}
        />
        <Button size="xs" variant="default" onClick={() => set({ versus: undefined })}>
          Close the comparison
        </Button>
      </div>
      {changes.length > 0 ? (
        <Diff changes={changes} labels={[`Attempt ${one}`, `Attempt ${other}`]} />
      ) : (
        <p>{one === other ? 'This is one and the same attempt: choose another beside it.' : 'They do not differ.'}</p>
      )}
      <p className="faint">
        {note}
        {same.length > 0 && ` The same in both: ${same.join(', ')}.`}
      </p>
    </section>
  );
}
