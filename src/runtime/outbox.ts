// Appends events to the log inside the transaction of the change they tell of. `seq` is drawn by the INSERT itself, in the
// order given, so that whoever has drawn one already holds RowExclusiveLock on the table; the log reader relies on it.
// Run it last, after all row locks are held: from then on the reader waits for this transaction.
import type { Uuid } from '../base/ids.ts'
import type { Instant } from '../base/time.ts'
import { bareArray, jsonLines, type Param, textArray } from './pg-values.ts'

/**
 * The shop of events that only cells may read, such as those that carry a shop's secret: no shop has this number, and pages,
 * streams and webhooks serve the events of their key's shop alone.
 */
export const internalShopId = 0

/** A fact about a subject. Versions of a subject are contiguous from 1; its row lock sees to that. */
export type NewEvent = {
  shopId: number
  eventId: Uuid
  subject: string
  subjectVersion: number
  type: string
  at: Instant
  /** An object, or the text that JSON.stringify made of it. */
  data: object | string
  /** Movements of units, flat groups of five: stock row id, and the changes of on_hand, reserved, committed, shipped. */
  moves: readonly number[]
  /** Of the request it came of, where that is sampled. */
  traceparent?: string | null
}

/** Answers no rows; its count must be the number of events. Not to be sent without any. */
export const appendEventsSql = `
  insert into runtime.events (shop_id, event_id, subject, subject_version, type, at, data, moves, traceparent)
  select shop_id, event_id, subject, subject_version, type,
    to_timestamp(at / 1000) + (at % 1000) * interval '1 millisecond', data::json, moves::bigint[],
    nullif(traceparent, '')
  from rows from (
    unnest($1::int[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::int[]), unnest($5::text[]), unnest($6::bigint[]),
    string_to_table($7, E'\\n'), string_to_table($8, E'\\n'), string_to_table($9, E'\\n')
  ) with ordinality as event (shop_id, event_id, subject, subject_version, type, at, data, moves, traceparent, place)
  order by place`

/** Nearly always there is none: no line then, rather than an empty one for each event. */
const traceparentLines = (events: readonly NewEvent[]): string =>
  events.some((event) => event.traceparent) ? events.map((event) => event.traceparent ?? '').join('\n') : ''

export function appendEventsParams(events: readonly NewEvent[]): Param[] {
  return [
    bareArray(events.map((event) => event.shopId)),
    bareArray(events.map((event) => event.eventId)),
    textArray(events.map((event) => event.subject)),
    bareArray(events.map((event) => event.subjectVersion)),
    bareArray(events.map((event) => event.type)),
    bareArray(events.map((event) => event.at)),
    jsonLines(events.map((event) => (typeof event.data === 'string' ? event.data : JSON.stringify(event.data)))),
    events.map((event) => bareArray(event.moves)).join('\n'),
    traceparentLines(events),
  ]
}
