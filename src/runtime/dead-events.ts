// Events that a consumer could not apply: they stand aside with all that follows in their subject, in order, until they are
// applied again or dropped, and the consumer goes on with the other subjects. Everything here that changes what stands aside
// holds the lock on the consumer's row, so that no event of such a subject can slip past.
import type { Uuid } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { accepted, type Outcome, refused } from '../base/result.ts'
import type { Instant } from '../base/time.ts'
import type { LogEvent } from './event-log.ts'
import { lockPosition, type Reread, takeFresh } from './inbox.ts'
import type { Database } from './pg.ts'
import type { Session } from './pg-session.ts'
import { bareArray, jsonLines, numberArray, textArray } from './pg-values.ts'

/** `tries` 0: nothing is wrong with it, but it may not be applied before those of its subject that stand aside too. */
export type DeadEvent = LogEvent & {
  id: Uuid
  /** Grows with the time at which it was put aside. */
  number: number
  consumer: string
  reason: string
  tries: number
  since: Instant
  retryAskedAt: Instant | null
}

const columns = `id, number, consumer, seq, shop_id as "shopId", event_id as "eventId", subject, subject_version as "subjectVersion",
  type, at, data::text as data, reason, tries, since, retry_asked_at as "retryAskedAt"`

const insertSql = `
  insert into runtime.dead_events (consumer, seq, shop_id, event_id, subject, subject_version, type, at, data, reason, tries)
  select $1, seq, shop_id, event_id, subject, version, type, at, data::json, reason, $10
  from unnest($2::bigint[], $3::int[], $4::uuid[], $5::text[], $6::int[], $7::text[], $8::timestamptz[], $9::text[])
    with ordinality as e (seq, shop_id, event_id, subject, version, type, at, reason, n)
  join string_to_table($11, E'\\n') with ordinality as d (data, n) using (n)
  on conflict (consumer, event_id) do nothing`

const countSql = 'update runtime.consumers set dead = dead + $2 where name = $1'

type Aside = { event: LogEvent; reason: string }

async function putAside(session: Session, consumer: string, found: readonly Aside[], tries: number): Promise<void> {
  if (found.length === 0) return
  const events = found.map(({ event }) => event)
  const inserted = await session.run(insertSql, [
    consumer,
    bareArray(events.map(({ seq }) => seq)),
    numberArray(events.map(({ shopId }) => shopId)),
    bareArray(events.map(({ eventId }) => eventId)),
    textArray(events.map(({ subject }) => subject)),
    numberArray(events.map(({ subjectVersion }) => subjectVersion)),
    textArray(events.map(({ type }) => type)),
    textArray(events.map(({ at }) => new Date(at).toISOString())),
    textArray(found.map(({ reason }) => reason)),
    tries,
    jsonLines(events.map(({ data }) => JSON.stringify(JSON.parse(data)))), // on one line, however it was written
  ])
  if (inserted.count > 0) await session.run(countSql, [consumer, inserted.count])
}

const forgetSql = 'delete from runtime.dead_events where consumer = $1 and seq > $2'

/**
 * Of a consumer whose events each stand for themselves: what it will read again does not stand aside. In another life of the log
 * that is what never happened there. With the position locked.
 */
export async function forgetBeyond(session: Session, consumer: string, seq: number): Promise<void> {
  const { count } = await session.run(forgetSql, [consumer, seq])
  if (count > 0) await session.run(countSql, [consumer, -count])
}

/** Gives an event up. To be called with the consumer's position locked, in the transaction that moves it on. */
export const giveUp = (session: Session, consumer: string, event: LogEvent, why: { reason: string; tries: number }) =>
  putAside(session, consumer, [{ event, reason: why.reason }], why.tries)

const blockedSql = `
  select shop_id as "shopId", subject, min(subject_version) as version
  from runtime.dead_events
  where consumer = $1 and (shop_id, subject) in (select * from unnest($2::int[], $3::text[]))
  group by shop_id, subject`

/** Puts those aside that follow one that stands aside, and answers the others. To be called as giveUp is. */
export async function withoutBlocked(
  session: Session,
  consumer: string,
  events: readonly LogEvent[],
): Promise<LogEvent[]> {
  const rows = await session.run<{ shopId: number; subject: string; version: number }>(blockedSql, [
    consumer,
    numberArray(events.map(({ shopId }) => shopId)),
    textArray(events.map(({ subject }) => subject)),
  ])
  const firstOf = new Map(rows.map(({ shopId, subject, version }) => [`${shopId} ${subject}`, version]))
  // What is older than the first was applied before it: a consumer that was rewound sees it again.
  const behind = (event: LogEvent): number | undefined => {
    const first = firstOf.get(`${event.shopId} ${event.subject}`)
    return first !== undefined && event.subjectVersion >= first ? first : undefined
  }
  const blocked = events.flatMap((event) => {
    const first = behind(event)
    return first === undefined ? [] : [{ event, reason: `behind version ${first} of ${event.subject}` }]
  })
  await putAside(session, consumer, blocked, 0)
  return events.filter((event) => behind(event) === undefined)
}

const firstAskedSql = `
  select ${columns} from runtime.dead_events
  where consumer = $1 and (shop_id, subject) = (
    select shop_id, subject from runtime.dead_events
    where consumer = $1 and retry_asked_at is not null order by retry_asked_at, seq limit 1)
  order by subject_version limit 1`

const firstAskedOfAllSql = `
  select ${columns} from runtime.dead_events
  where consumer = $1 and retry_asked_at is not null order by retry_asked_at, seq limit 1`

const ofSubject = 'consumer = $1 and shop_id = $2 and subject = $3'
const askSubjectSql = `
  update runtime.dead_events set retry_asked_at = clock_timestamp() where ${ofSubject} and retry_asked_at is null`
const unaskSubjectSql = `update runtime.dead_events set retry_asked_at = null where ${ofSubject}`
const failedAgainSql = 'update runtime.dead_events set tries = tries + 1, reason = $2 where id = $1'
const unaskSql = 'update runtime.dead_events set retry_asked_at = null where id = $1'
// Those that were tried least first, so that each has its turn.
const askAllSql = `
  update runtime.dead_events set retry_asked_at = clock_timestamp()
  where id in (select id from runtime.dead_events where consumer = $1 order by tries, seq limit $2)`
const removeSql = 'delete from runtime.dead_events where id = $1'

const subjectOf = ({ consumer, shopId, subject }: DeadEvent) => [consumer, shopId, subject]

/** Remembers the event as applied, or as dropped, and lets those of its subject come next. */
async function passOver(session: Session, event: DeadEvent): Promise<void> {
  await session.run(countSql, [event.consumer, -1])
  await session.run(askSubjectSql, subjectOf(event))
}

export type Application = {
  consumer: string
  reread: ((session: Session) => Reread) | undefined
  /** Before the transaction in which it is applied. */
  ready(event: LogEvent): Promise<unknown>
  apply(session: Session, events: readonly LogEvent[]): Promise<void>
  /** Each event stands for itself, and bears being applied again. */
  isUnordered: boolean
}

/** `more`: there may be another to try. */
type Tried = { more: boolean; applied: readonly LogEvent[]; failure?: { event: DeadEvent; error: unknown } }

/**
 * Applies the first event of a subject whose retry was asked for. When it fails again, nothing of that subject is asked for
 * any more, or that event alone where each stands for itself.
 */
export async function retryOne(
  database: Pick<Database, 'query' | 'transaction'>,
  { consumer, reread, ready, apply, isUnordered }: Application,
  isOfEvent: (error: unknown) => boolean,
): Promise<Tried> {
  const firstSql = isUnordered ? firstAskedOfAllSql : firstAskedSql
  let trying: DeadEvent | undefined
  let applied: readonly LogEvent[] = []
  try {
    const [next] = await database.query<DeadEvent>(firstSql, [consumer])
    if (!next) return { more: false, applied }
    trying = next
    await ready(next)
    const more = await database.transaction(async (session) => {
      trying = undefined
      applied = []
      const stored = await lockPosition(session, consumer)
      if (!stored || stored.paused) return false
      const [event] = await session.run<DeadEvent>(firstSql, [consumer])
      if (!event || event.id !== next.id) return event !== undefined // another process has been faster
      trying = event
      const fresh = isUnordered ? [event] : await takeFresh(session, consumer, [event], reread?.(session))
      if (fresh.length > 0) await apply(session, fresh)
      await session.run(removeSql, [event.id])
      await passOver(session, event)
      applied = fresh
      return true
    })
    return { more, applied }
  } catch (error) {
    const event = trying
    if (!event || !isOfEvent(error)) throw error
    await database.transaction(async (session) => {
      await lockPosition(session, consumer)
      await session.run(failedAgainSql, [event.id, reasonOf(error)])
      if (isUnordered) await session.run(unaskSql, [event.id])
      else await session.run(unaskSubjectSql, subjectOf(event))
    })
    return { more: true, applied: [], failure: { event, error } }
  }
}

/** What an error says, short enough to be kept. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return text.replaceAll('\u0000', '').slice(0, limits.deadReasonCharactersMax)
}

export type DeadPage = { shopId: number | null; before: number | null; limit: number }

const listSql = `
  select ${columns} from runtime.dead_events
  where ($1::int is null or shop_id = $1) and ($2::bigint is null or number < $2) order by number desc limit $3`

/** Newest first. */
export const listDeadEvents = (database: Pick<Database, 'query'>, { shopId, before, limit }: DeadPage) =>
  database.query<DeadEvent>(listSql, [shopId, before, limit])

const getSql = `
  select ${columns} from runtime.dead_events where id = $1 and ($2::int is null or shop_id = $2)`

export async function getDeadEvent(
  database: Pick<Database, 'query'>,
  id: Uuid,
  shopId: number | null,
): Promise<DeadEvent | undefined> {
  return (await database.query<DeadEvent>(getSql, [id, shopId]))[0]
}

/** Its row, with the consumer's locked first, as everybody does. */
async function lockDead(session: Session, id: Uuid, shopId: number | null): Promise<DeadEvent | undefined> {
  const [found] = await session.run<DeadEvent>(getSql, [id, shopId])
  if (!found) return undefined
  await lockPosition(session, found.consumer)
  return (await session.run<DeadEvent>(getSql, [id, shopId]))[0]
}

/** A running consumer applies it within a second, with all of its subject, in order. False when there is no such event. */
export async function askForRetry(
  database: Pick<Database, 'transaction'>,
  id: Uuid,
  shopId: number | null,
): Promise<boolean> {
  return database.transaction(async (session) => {
    const event = await lockDead(session, id, shopId)
    if (event) await session.run(askSubjectSql, subjectOf(event))
    return event !== undefined
  })
}

/** As askForRetry, of everything that stands aside, `asideRetriedMax` events at once. */
export async function askForRetryOfAll(database: Pick<Database, 'transaction'>, consumer: string): Promise<void> {
  await database.transaction(async (session) => {
    await lockPosition(session, consumer)
    await session.run(askAllSql, [consumer, limits.asideRetriedMax])
  })
}

/**
 * Takes the event for applied, and has those behind it applied. Refused: `not_found`, and `dead_letter_blocked` while an
 * earlier one of its subject stands aside, since what comes after a dropped event is never before it.
 */
export async function dropDeadEvent(
  database: Pick<Database, 'transaction'>,
  { id, shopId }: { id: Uuid; shopId: number | null },
): Promise<Outcome<true>> {
  return database.transaction(async (session) => {
    const event = await lockDead(session, id, shopId)
    if (!event) return refused('not_found')
    const [first] = await session.run<DeadEvent>(
      `select id from runtime.dead_events where ${ofSubject} order by subject_version limit 1`,
      subjectOf(event),
    )
    if (first?.id !== id) return refused('dead_letter_blocked')
    await takeFresh(session, event.consumer, [event])
    await session.run(removeSql, [id])
    await passOver(session, event)
    return accepted(true)
  })
}
