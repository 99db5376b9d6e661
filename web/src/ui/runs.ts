/** The lines of a course: one for each stretch without a gap. */

export interface Run {
  /** What draws it, in a field of 100 by 28. */
  line: string;
  /** Where it begins and ends. */
  from: string;
  to: string;
}

/** Lines of the values that follow each other; one that stands alone is a point. */
export function runsOf(values: readonly (number | null)[]): Run[] {
  const most = Math.max(1e-9, ...values.map((value) => value ?? 0));
  const runs: Run[] = [];
  let open = false;
  values.forEach((value, at) => {
    if (value === null) {
      open = false;
      return;
    }
    const x = ((at / (values.length - 1)) * 100).toFixed(2);
    const y = (26 - (value / most) * 24).toFixed(2);
    const last = runs.at(-1);
    if (open && last) {
      last.line += `L${x} ${y}`;
      last.to = x;
    } else runs.push({ line: `M${x} ${y}L${x} ${y}`, from: x, to: x });
    open = true;
  });
  return runs;
}
