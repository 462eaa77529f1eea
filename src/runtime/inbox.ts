// A consumer's side of "delivered at least once, applied once": which events it has applied, the last version of each
// subject, and its place in the log, all stored in the transaction of the effect itself.

import { present } from '../base/assert.ts'
import type { Uuid } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { LogEvent, SubjectGap } from './event-log.ts'
import { type Lives, presentLife, seqInPresentLife } from './incarnation.ts'
import type { Database } from './pg.ts'
import type { Session } from './pg-session.ts'
import { bareArray, numberArray, textArray } from './pg-values.ts'
import type { Position } from './position.ts'

/** Fetches the wanted events between two versions of subjects from their log, oldest first; empty when there are none. */
export type Reread = (gaps: readonly SubjectGap[]) => Promise<readonly LogEvent[]>

const versionsSql = `
  select subject, version from runtime.inbox_subjects where consumer = $1 and subject = any ($2::text[])`

const rememberSql = `
  insert into runtime.inbox (consumer, event_id) select $1, unnest($2::uuid[])
  on conflict do nothing returning event_id as "eventId"`

const advanceSql = `
  insert into runtime.inbox_subjects as old (consumer, subject, version)
  select $1, subject, version from unnest($2::text[], $3::int[]) as new (subject, version)
  on conflict (consumer, subject) do update set version = excluded.version, updated_at = excluded.updated_at
  where old.version < excluded.version`

/**
 * Of delivered events, those to apply now, remembered as applied: version n+1 of a subject only after n, older ones never,
 * the same event never twice. Where versions are missing, `reread` is asked for them first; what it does not have is not
 * wanted or no longer kept. To be called in the transaction that applies them, after lockPosition.
 */
export async function takeFresh(
  session: Session,
  consumer: string,
  delivered: readonly LogEvent[],
  reread?: Reread,
): Promise<LogEvent[]> {
  const subjects = [...new Set(delivered.map(subjectOfShop))]
  const rows = await session.run<{ subject: string; version: number }>(versionsSql, [consumer, textArray(subjects)])
  const versions = new Map(rows.map((row) => [row.subject, row.version]))
  let events = inOrder(delivered)
  for (let missing = await ask(reread, gapsIn(events, versions)); missing.length > 0; ) {
    events = inOrder([...events, ...missing]) // what was found is no gap any more, so that this ends
    missing = await ask(reread, gapsIn(events, versions))
  }
  const taken = takeNewer(events, versions)
  return rememberTaken(session, consumer, taken, versions)
}

const rememberedSql = 'select event_id from runtime.inbox where consumer = $1 and event_id = any ($2::uuid[])'

/** For a consumer that keeps no inbox: only what stood aside and was applied or dropped by hand is remembered of it. */
export async function withoutRemembered(
  session: Session,
  consumer: string,
  events: readonly LogEvent[],
): Promise<readonly LogEvent[]> {
  if (events.length === 0) return events
  const ids = bareArray(events.map((event) => event.eventId))
  const known = new Set(
    (await session.run<{ event_id: Uuid }>(rememberedSql, [consumer, ids])).map((row) => row.event_id),
  )
  return known.size === 0 ? events : events.filter((event) => !known.has(event.eventId))
}

/** Shops may use one subject, such as `sku:A-1`; its versions count within the shop. */
const subjectOfShop = (event: LogEvent): string => `${event.shopId} ${event.subject}`

const inOrder = (events: readonly LogEvent[]): LogEvent[] => events.toSorted((a, b) => a.seq - b.seq)

const ask = async (reread: Reread | undefined, gaps: readonly SubjectGap[]) =>
  reread && gaps.length > 0 ? reread(gaps) : []

function gapsIn(events: readonly LogEvent[], versions: ReadonlyMap<string, number>): SubjectGap[] {
  const reached = new Map<string, number>()
  const gaps: SubjectGap[] = []
  for (const event of events) {
    const { shopId, subject, subjectVersion } = event
    const key = subjectOfShop(event)
    const afterVersion = reached.get(key) ?? versions.get(key) ?? 0
    if (subjectVersion > afterVersion + 1) gaps.push({ shopId, subject, afterVersion, beforeVersion: subjectVersion })
    reached.set(key, Math.max(afterVersion, subjectVersion))
  }
  return gaps
}

/** Moves `versions` on over what is newer, and answers that. */
function takeNewer(events: readonly LogEvent[], versions: Map<string, number>): LogEvent[] {
  return events.filter((event) => {
    const key = subjectOfShop(event)
    if (event.subjectVersion <= (versions.get(key) ?? 0)) return false
    versions.set(key, event.subjectVersion)
    return true
  })
}

async function rememberTaken(
  session: Session,
  consumer: string,
  taken: readonly LogEvent[],
  versions: ReadonlyMap<string, number>,
): Promise<LogEvent[]> {
  if (taken.length === 0) return []
  const subjects = [...new Set(taken.map(subjectOfShop))]
  const remembering = session.run<{ eventId: Uuid }>(rememberSql, [
    consumer,
    bareArray(taken.map((event) => event.eventId)),
  ])
  const advancing = session.run(advanceSql, [
    consumer,
    textArray(subjects),
    numberArray(subjects.map((subject) => present(versions.get(subject), 'the version taken'))),
  ])
  const fresh = new Set((await remembering).map((row) => row.eventId))
  await advancing
  return taken.filter((event) => fresh.has(event.eventId)) // an event of an earlier life may have been applied there
}

const lockSql = 'select incarnation, seq, paused, dead from runtime.consumers where name = $1 for update'

/** `dead`: how many of its events stand aside, see dead-events.ts. */
export type Standing = Position & { paused: boolean; dead: number }

/** Where the consumer stands, locked until the transaction ends; undefined when it has no position yet. */
export async function lockPosition(session: Session, consumer: string): Promise<Standing | undefined> {
  const [row] = await session.run<Standing>(lockSql, [consumer])
  return row
}

export async function storePosition(session: Session, consumer: string, position: Position): Promise<void> {
  await session.run(
    `insert into runtime.consumers (name, incarnation, seq) values ($1, $2, $3)
     on conflict (name) do update set incarnation = excluded.incarnation, seq = excluded.seq, updated_at = clock_timestamp()`,
    [consumer, position.incarnation, position.seq],
  )
}

/**
 * The consumer's seq in the present life, made so if it was another: it goes back to where the ways parted, or to the oldest
 * event kept, and forgets the versions it had seen in the life that was left. What it has applied it knows by event id.
 */
export async function alignPosition(
  session: Session,
  consumer: string,
  lives: Lives,
  oldestKept: number,
): Promise<number> {
  const { incarnation } = presentLife(lives)
  const stored = await lockPosition(session, consumer)
  if (stored?.incarnation === incarnation) return stored.seq
  const known = stored ? seqInPresentLife(lives, stored) : oldestKept
  const seq = known === 'unknown' ? oldestKept : Math.max(known, oldestKept)
  await session.run('delete from runtime.inbox_subjects where consumer = $1', [consumer])
  await storePosition(session, consumer, { incarnation, seq })
  return seq
}

const trimEventsSql = `
  delete from runtime.inbox where ctid = any (array(
    select ctid from runtime.inbox where received_at < clock_timestamp() - $1 * interval '1 day' limit $2))`

// Walks the primary key: an index on updated_at would make every advance of a version a costlier update.
const trimSubjectsSql = `
  with slice as materialized (
    select consumer, subject from runtime.inbox_subjects where (consumer, subject) > ($2, $3) order by 1, 2 limit $4
  ), gone as (
    delete from runtime.inbox_subjects old using slice
    where old.consumer = slice.consumer and old.subject = slice.subject
      and old.updated_at < clock_timestamp() - $1 * interval '1 day'
    returning 1
  )
  select consumer, subject, (select count(*) from gone) as gone, (select count(*) from slice) as walked
  from slice order by 1 desc, 2 desc limit 1`

const oldestEventSql = `
  select extract(epoch from clock_timestamp() - at) / 86400 as "daysAgo" from runtime.events order by seq limit 1`

/**
 * Forgets what no event in the log can ask for any more. Partitions go as a whole, so that one may be kept long past its time;
 * the day more is for clocks that differ.
 */
export async function trimInboxBehindLog(database: Database): Promise<void> {
  const [row] = await database.query<{ daysAgo: string }>(oldestEventSql)
  await trimInbox(database, Math.max(limits.eventDaysKept, Math.ceil(Number(row?.daysAgo ?? 0)) + 1))
}

/** Forgets, in slices, what is older than the events that are kept, since it cannot be delivered again. Answers how much that was. */
export async function trimInbox(database: Database, olderThanDays: number): Promise<number> {
  const max: number = limits.inboxTrimMax
  let forgotten = 0
  for (let gone = max; gone === max; forgotten += gone) {
    gone = (await database.transaction((session) => session.run(trimEventsSql, [olderThanDays, max]))).count
  }
  for (let at: TrimSlice | undefined = { consumer: '', subject: '', gone: 0, walked: max }; at?.walked === max; ) {
    at = await trimSubjects(database, olderThanDays, at)
    forgotten += at?.gone ?? 0
  }
  return forgotten
}

type TrimSlice = { consumer: string; subject: string; gone: number; walked: number }

async function trimSubjects(
  database: Database,
  olderThanDays: number,
  after: TrimSlice,
): Promise<TrimSlice | undefined> {
  const params = [olderThanDays, after.consumer, after.subject, limits.inboxTrimMax]
  const [slice] = await database.transaction((session) => session.run<TrimSlice>(trimSubjectsSql, params))
  return slice
}
