// Plain reads of the event log by seq. Callers pass a `toSeq` up to which the log is settled; nothing here looks beyond it.

import type { Uuid } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'
import type { TypeFilter } from './event-types.ts'
import type { Rows } from './pg-session.ts'
import { numberArray, type Param, textArray } from './pg-values.ts'

/** `data` is JSON text, as it was appended. */
export type LogEvent = {
  seq: number
  shopId: number
  eventId: Uuid
  subject: string
  subjectVersion: number
  type: string
  at: Instant
  data: string
  /** The span of the request it came of (W3C Trace Context), where that was sampled; other cells are not told. */
  traceparent?: string | null
}

export type EventFilter = { shopId?: number | undefined; types?: TypeFilter }

/** Whatever runs one read: a session, or the shared readers of the process. */
export type Read = <Row>(text: string, params: readonly Param[]) => Promise<Rows<Row>>

export const eventColumns = `seq, shop_id as "shopId", event_id as "eventId", subject, subject_version as "subjectVersion", type, at,
  data::text as data, traceparent`

const rangeSql = `
  select ${eventColumns} from runtime.events
  where seq > $1 and seq <= $2 and ($3::int is null or shop_id = $3)
    and ($4::text[] is null or type = any ($4) or split_part(type, '.', 1) = any ($5::text[]))
  order by seq limit $6`

/** Matching events of `fromSeq < seq ≤ toSeq`, oldest first, at most `max`. */
export function readRange(
  read: Read,
  range: { fromSeq: number; toSeq: number; max: number },
  filter: EventFilter = {},
) {
  const { shopId = null, types } = filter
  const wanted = types ? [textArray([...types.names]), textArray([...types.nouns])] : [null, null]
  return read<LogEvent>(rangeSql, [range.fromSeq, range.toSeq, shopId, ...wanted, range.max])
}

/** What was found, and how far was looked: everything up to `seq` that matches is among the events. */
export type LogPage = { events: LogEvent[]; seq: number }

/** A page in slices, so that no statement runs long however rare the matches are; gives up empty-handed after a while. */
export async function readPage(
  read: Read,
  range: { fromSeq: number; toSeq: number; max: number },
  filter: EventFilter,
  now: () => number,
): Promise<LogPage> {
  const deadline = now() + limits.eventPageMsMax
  const events: LogEvent[] = []
  let seq = range.fromSeq
  while (seq < range.toSeq) {
    const toSeq = Math.min(range.toSeq, seq + limits.eventScanSeqs)
    const max = range.max - events.length
    const found = await readRange(read, { fromSeq: seq, toSeq, max }, filter)
    events.push(...found)
    if (found.length === max) return { events, seq: found.at(-1)!.seq }
    seq = toSeq
    if (now() > deadline) break
  }
  return { events, seq }
}

const subjectsSql = `
  select ${eventColumns}
  from unnest($1::int[], $2::text[], $3::int[], $4::int[]) as gap (of_shop, of_subject, after_version, before_version)
  join runtime.events on subject = of_subject and subject_version > after_version and subject_version < before_version
  where shop_id = of_shop and seq <= $5 order by seq limit $6`

export type SubjectGap = { shopId: number; subject: string; afterVersion: number; beforeVersion: number }

/** The kept events strictly between two versions of subjects, oldest first. */
export function readGaps(read: Read, gaps: readonly SubjectGap[], toSeq: number, max: number) {
  return read<LogEvent>(subjectsSql, [
    numberArray(gaps.map((gap) => gap.shopId)),
    textArray(gaps.map((gap) => gap.subject)),
    numberArray(gaps.map((gap) => gap.afterVersion)),
    numberArray(gaps.map((gap) => gap.beforeVersion)),
    toSeq,
    max,
  ])
}

export const lastSeqSql = 'select case when is_called then last_value else 0 end as last from runtime.event_seq'

/** The transactions that may still commit an event whose seq is drawn. Any role may read pg_locks. */
export const writersSql = `
  select virtualtransaction as writer from pg_locks
  where locktype = 'relation' and relation = 'runtime.events'::regclass and mode = 'RowExclusiveLock' and granted
    and database = (select oid from pg_database where datname = current_database())`

/** The newest committed event at or below a seq; null when there is none. */
export const newestSeqSql = 'select max(seq) as newest from runtime.events where seq <= $1'

/** When the newest event was, so that a process that starts does not date its first one earlier. */
export const newestEventSql = 'select at from runtime.events order by seq desc limit 1'

/** Every event above this seq is still there, or is yet to come. */
export const oldestKeptSql = `
  select coalesce(min((regexp_match(pg_get_expr(child.relpartbound, child.oid), 'FROM \\(''(\\d+)''\\)'))[1]::bigint), 1) - 1 as seq
  from pg_inherits link join pg_class child on child.oid = link.inhrelid
  where link.inhparent = 'runtime.events'::regclass and not link.inhdetachpending`
