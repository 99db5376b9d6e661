/** What the URL of the webhooks tab means, and the questions that follow from it. */
import { useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { Params } from '../../api/hooks.ts';
import { oneOf, type Raw, text, texts } from '../../view/search.ts';

export const PARTS = ['figures', 'events', 'refused'] as const;
export type Part = (typeof PARTS)[number];

export const WAYS = ['tree', 'raw', 'hex'] as const;
export type Way = (typeof WAYS)[number];

/** Filters of events by the parameter that holds them; the name stands on the chip. */
export const FILTERS = { source: 'Source', type: 'Type', status: 'Status', verdict: 'Signature', id: 'Id' } as const;

export interface InboundSearch {
  part?: Part;
  source?: string[];
  type?: string[];
  status?: string[];
  verdict?: string[];
  /** Any id of an event: ours, the sender's, the trace's. */
  id?: string;
  /** Why deliveries were refused. */
  reason?: string;
  /** Which address they came from. */
  address?: string;
  /** How the payload of the open event is shown; unless told, as a tree where it is JSON. */
  way?: Way;
  /** The two attempts at the open event that are compared. */
  versus?: string[];
  /** The event, or the refused delivery, that is open. */
  open?: string;
}

export function inboundSearch(raw: Raw): InboundSearch {
  return {
    part: oneOf(raw.part, PARTS),
    source: texts(raw.source),
    type: texts(raw.type),
    status: texts(raw.status),
    verdict: texts(raw.verdict),
    id: text(raw.id),
    reason: text(raw.reason),
    address: text(raw.address)?.slice(0, 64),
    way: oneOf(raw.way, WAYS),
    versus: texts(raw.versus),
    open: text(raw.open),
  };
}

export function useInbound(): InboundSearch {
  return useSearch({ strict: false });
}

export type EventQuery = Partial<Params<'/webhook-events'>>;

export const STATUS = ['received', 'processing', 'succeeded', 'failed', 'dead'] as const;
export const VERDICT = ['verified', 'reconciled', 'unverified'] as const;

function known<const T extends readonly string[]>(values: string[] | undefined, words: T): T[number][] | undefined {
  const found = (values ?? []).filter((one) => words.includes(one));
  return found.length > 0 ? found : undefined;
}

/** The filters in force, as the API takes them; what the API does not know is left out. */
export function useEventQuery(): EventQuery {
  const { source, type, status, verdict, id } = useInbound();
  return useMemo(
    () => ({
      source,
      event_type: type,
      status: known(status, STATUS),
      verdict: known(verdict, VERDICT),
      any_id: id?.slice(0, 255),
    }),
    [source, type, status, verdict, id],
  );
}

/** Whether any filter is in force. */
export function isFiltered(query: EventQuery): boolean {
  return Object.values(query).some((value) => value !== undefined);
}
