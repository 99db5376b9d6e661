/** The fields of an alert rule that is being written, as they stand in the URL. */
import { type Raw, text } from '../../view/search.ts';

export const FIELDS = [
  'name',
  'metric',
  'as',
  'op',
  'threshold',
  'clear',
  'critical',
  'severity',
  'labels',
  'by',
  'window',
  'hold',
  'fine',
  'remind',
  'message',
  'tenant',
  'off',
] as const;

export type Field = (typeof FIELDS)[number];

/** As it is written, all of it text. */
export type Draft = Partial<Record<Field, string>>;

export function draftOf(raw: Raw): Draft {
  return Object.fromEntries(FIELDS.map((field) => [field, text(raw[field])])) as Draft;
}
