/** Since when this install records: a period that begins before is no measure of the one after. */
import { useQuery } from '@tanstack/react-query';
import { millis } from '../time/format.ts';
import { previous } from '../time/range.ts';
import { useMoment, useView } from '../view/view.ts';
import { whoIAm } from './may.ts';

/** When recording began, written, where that is after the begin of the period before; else null. */
export function useBeganWithin(): string | null {
  const { data } = useQuery(whoIAm);
  const { span } = useView();
  const moment = useMoment();
  const since = data?.recording_since;
  return since && millis(since) > previous(span).from ? moment(since) : null;
}
