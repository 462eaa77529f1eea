// The bus that needs nothing but the cell's own database: consumers read the event log through the process's reader, or a
// peer's through one of that peer; both give them everything in order. Position and effect are stored in one transaction. What
// was asked of a consumer by hand (pause, rewind, retry) stands in its row and is seen by every process within `consumerWatchMs`.

import type { Uuid } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { Overloaded } from './batch.ts'
import type { Bus, Consumer, Consumption } from './bus.ts'
import type { Clock } from './clock.ts'
import { askForRetryOfAll, forgetBeyond, giveUp, reasonOf, retryOne, withoutBlocked } from './dead-events.ts'
import { type LogEvent, type LogPage, readGaps } from './event-log.ts'
import { alignPosition, lockPosition, type Reread, storePosition, takeFresh, withoutRemembered } from './inbox.ts'
import { presentLife } from './incarnation.ts'
import type { ConsumedLog } from './logreader.ts'
import { PeerRefused, PeerUnreachable } from './peer-requests.ts'
import type { Database } from './pg.ts'
import { DatabaseUnavailable, failureClass } from './pg-failure.ts'
import type { Session } from './pg-session.ts'
import { textArray } from './pg-values.ts'
import { type Span, type Tracing, within } from './tracing.ts'

export type PostgresBusOptions = {
  database: Database
  reader: ConsumedLog
  clock: Clock
  onError: (consumer: string, error: unknown) => void
  /** An event stands aside from now on, with all of its subject. */
  onGivenUp?: (consumer: string, event: LogEvent) => void
  /** What has come of events that were read: applied, or passed over since they had been before; from BEGIN to COMMIT. */
  onDelivered?: (consumer: string, delivered: { applied: number; repeated: number; ms: number }) => void
  tracing?: Tracing | null
  /** How often an event is tried. */
  triesMax?: number
}

/** One consumer in this process. */
type Running = {
  consumer: Consumer
  ended: AbortSignal
  /** Where it stands; undefined when that has to be found out. */
  seq: number | undefined
  /** It waits for events beyond `seq`. */
  isIdle: boolean
  isPaused: boolean
  retryAsked: boolean
  /** Until when another that fails stands aside at once, since one has just been given up that is tried again by itself. */
  hastyUntilMs: number
  /** When what stands aside is tried again by itself, on the clock that never goes back. */
  retryAsideAtMs: number
  /** How many events it takes at once: half as many after a failure, so that the one at fault is soon alone. */
  chunk: number
  /** The event that failed last, alone, and how often. */
  failing: { eventId: Uuid; tries: number } | undefined
  /** Ends the wait that is going on. */
  alarm: AbortController
}

export function postgresBus(options: PostgresBusOptions): Bus {
  const running = new Map<Consumption, Running>()
  const ended = new AbortController()
  let watching: Promise<void> | undefined
  return {
    look: () => lookAtRows(options, running),
    consume(consumer) {
      const stopping = new AbortController()
      const one = started(consumer, stopping.signal)
      const looping = loop(options, one)
      const consumption: Consumption = {
        get isPaused() {
          return one.isPaused
        },
        async stop() {
          stopping.abort()
          one.alarm.abort()
          await looping
          running.delete(consumption)
        },
      }
      running.set(consumption, one)
      watching ??= watch(options, running, ended.signal)
      return consumption
    },
    async close() {
      ended.abort()
      await Promise.all([...running.keys()].map((one) => one.stop()))
      await watching
    },
  }
}

const started = (consumer: Consumer, ended: AbortSignal): Running => ({
  consumer,
  ended,
  seq: undefined,
  isIdle: false,
  isPaused: false,
  retryAsked: false,
  hastyUntilMs: 0,
  retryAsideAtMs: 0,
  chunk: limits.consumerChunkMax,
  failing: undefined,
  alarm: new AbortController(),
})

async function loop(options: PostgresBusOptions, one: Running): Promise<void> {
  const leave = options.reader.attend()
  try {
    await consume(options, one)
  } finally {
    leave()
  }
}

async function consume(options: PostgresBusOptions, one: Running): Promise<void> {
  const { clock, onError } = options
  let failures = 0
  while (!one.ended.aborted) {
    if (one.alarm.signal.aborted) one.alarm = new AbortController()
    try {
      if (one.isPaused) {
        await clock.sleep(limits.consumerWatchMs, one.alarm.signal)
        continue
      }
      if (one.retryAsked) await retryAsked(options, one)
      await options.reader.ready?.(one.alarm.signal)
      if (one.alarm.signal.aborted) continue
      const life = presentLife(options.reader.lives).incarnation
      const isOver = () => presentLife(options.reader.lives).incarnation !== life
      one.seq ??= await align(options, one)
      const at = { life, seq: one.seq }
      const page = await read(options, one, at.seq)
      if (isOver()) one.seq = undefined
      else if (page.seq === at.seq) await waitBeyond(options, one, at.seq)
      else one.seq = await deliverOrGiveUp(options, one, { ...at, isOver }, page)
      failures = 0
      if (isOver()) one.seq = undefined
    } catch (error) {
      onError(one.consumer.name, error)
      one.seq = undefined
      await clock.sleep(Math.min(limits.consumerBackoffMsMax, 10 * 2 ** failures++), one.alarm.signal)
    }
  }
}

async function read({ reader }: PostgresBusOptions, { consumer, chunk }: Running, seq: number): Promise<LogPage> {
  const page = await reader.read(seq, { types: consumer.types }, chunk)
  if (page === 'expired') throw new Error(`events after ${seq} were dropped before ${consumer.name} had read them`)
  return page
}

async function waitBeyond({ reader, clock }: PostgresBusOptions, one: Running, seq: number): Promise<void> {
  const { lingerMs, types } = one.consumer
  one.isIdle = true
  try {
    await reader.beyond(seq, one.alarm.signal, { types })
    if (lingerMs) await clock.sleep(lingerMs, one.alarm.signal)
  } finally {
    one.isIdle = false
  }
}

async function align({ database, reader }: PostgresBusOptions, { consumer }: Running): Promise<number> {
  const oldest = await reader.oldestKept()
  return database.transaction(async (session) => {
    const seq = await alignPosition(session, consumer.name, reader.lives, oldest)
    if (consumer.retryAsideMs !== undefined) await forgetBeyond(session, consumer.name, seq)
    return seq
  })
}

type Place = { life: Uuid; seq: number; isOver(): boolean }

/**
 * Takes fewer events after a failure, and counts the tries of one that fails alone. Answers where the consumer then stands,
 * undefined when that has to be found out anew.
 */
async function deliverOrGiveUp(
  options: PostgresBusOptions,
  one: Running,
  from: Place,
  page: LogPage,
): Promise<number | undefined> {
  try {
    if (page.events.length > 0) await one.consumer.ready?.(page.events, one.ended)
    if (from.isOver()) return undefined
    const span = page.events.length > 0 ? spanOf(options, one, page) : null
    const delivering = () => deliver(options, one, from, page)
    const seq = await (span ? within(span, delivering) : delivering())
    one.failing = undefined
    one.chunk = Math.min(limits.consumerChunkMax, one.chunk * 2)
    return seq
  } catch (error) {
    const [event] = page.events
    if (!event || one.ended.aborted || !isOfEvent(error, one.consumer)) throw error
    if (page.events.length > 1) {
      options.onError(one.consumer.name, error)
      one.chunk = Math.floor(page.events.length / 2)
      return from.seq
    }
    const tries = one.failing?.eventId === event.eventId ? one.failing.tries + 1 : 1
    one.failing = { eventId: event.eventId, tries }
    const isHasty = options.clock.elapsedMs() < one.hastyUntilMs
    if (!isHasty && tries < (options.triesMax ?? limits.consumerTriesMax)) throw error
    return putAside(options, one, { from, page, event, tries, error })
  }
}

const spanOf = ({ tracing }: PostgresBusOptions, { consumer }: Running, { events }: LogPage): Span | null =>
  tracing?.sample('consume', { 'holdfast.consumer': consumer.name, 'holdfast.events': events.length }) ?? null

/**
 * Whether an event is at fault, and not the database, a crowd or another cell, which pass. What a cell refuses for now, as while it is
 * frozen, may last: an event that is tried again by itself stands aside for it, so that the rest goes on.
 */
const isOfEvent = (error: unknown, { retryAsideMs }: Consumer): boolean => {
  if (error instanceof DatabaseUnavailable || error instanceof Overloaded || error instanceof PeerUnreachable)
    return false
  if (error instanceof PeerRefused) return retryAsideMs !== undefined || saysNoForEver.has(error.code)
  return failureClass(error) === 'fail'
}

/** To what it was asked; all else that it refuses is for now. */
const saysNoForEver: ReadonlySet<string> = new Set(['invalid_body', 'not_found'])

/** Applies the page and moves on. */
async function deliver(
  { database, reader, clock, onDelivered }: PostgresBusOptions,
  one: Running,
  from: Place,
  page: LogPage,
): Promise<number | undefined> {
  const { consumer } = one
  let applied: readonly LogEvent[] = []
  let repeated = 0
  const sinceMs = clock.elapsedMs()
  const seq = await database.transaction(async (session) => {
    applied = []
    repeated = 0
    const stored = await lockPosition(session, consumer.name)
    if (stored?.incarnation !== from.life) return undefined
    one.isPaused = stored.paused
    if (stored.paused || stored.seq !== from.seq) return stored.seq // another process has been faster, or it was rewound
    const events =
      stored.dead === 0 || consumer.retryAsideMs
        ? page.events
        : await withoutBlocked(session, consumer.name, page.events)
    const fresh = consumer.isRepeatable
      ? await withoutRemembered(session, consumer.name, events)
      : await takeFresh(session, consumer.name, events, rereadOf(reader, consumer)?.(session))
    if (fresh.length > 0) await consumer.apply(session, fresh)
    await storePosition(session, consumer.name, { incarnation: from.life, seq: page.seq })
    applied = fresh
    repeated = countMissing(events, fresh)
    return page.seq
  })
  const ms = clock.elapsedMs() - sinceMs
  if (applied.length > 0) consumer.applied?.(applied)
  if (applied.length + repeated > 0) onDelivered?.(consumer.name, { applied: applied.length, repeated, ms })
  return seq
}

/** How many of the events are not among those taken, which may be more than were delivered, since gaps are read again. */
function countMissing(events: readonly LogEvent[], taken: readonly LogEvent[]): number {
  if (taken === events) return 0
  const ids = new Set(taken.map(({ eventId }) => eventId))
  return events.reduce((count, { eventId }) => count + (ids.has(eventId) ? 0 : 1), 0)
}

/** A consumer of some types only sees gaps that are none; the reader leaves out nothing that it wants. */
function rereadOf({ horizon }: ConsumedLog, { types }: Consumer): ((session: Session) => Reread) | undefined {
  if (types || horizon === undefined) return undefined
  return (session) => (gaps) => readGaps(session.run, gaps, horizon, limits.logChunkMax)
}

type Failed = { from: Place; page: LogPage; event: LogEvent; tries: number; error: unknown }

async function putAside(
  { database, clock, onError, onGivenUp }: PostgresBusOptions,
  one: Running,
  { from, page, event, tries, error }: Failed,
): Promise<number | undefined> {
  const { name, retryAsideMs = 0 } = one.consumer
  onError(name, error)
  const seq = await database.transaction(async (session) => {
    const stored = await lockPosition(session, name)
    if (stored?.incarnation !== from.life) return undefined
    if (stored.paused || stored.seq !== from.seq) return stored.seq
    await giveUp(session, name, event, { reason: reasonOf(error), tries })
    await storePosition(session, name, { incarnation: from.life, seq: page.seq })
    return page.seq
  })
  one.failing = undefined
  one.hastyUntilMs = clock.elapsedMs() + retryAsideMs
  if (seq === page.seq) onGivenUp?.(name, event)
  return seq
}

/** Applies what stands aside and was asked for, each event in a transaction of its own. */
async function retryAsked({ database, reader, onError }: PostgresBusOptions, one: Running): Promise<void> {
  const { name, apply, ready, retryAsideMs } = one.consumer
  const application = {
    ...{ consumer: name, reread: rereadOf(reader, one.consumer), apply, isUnordered: retryAsideMs !== undefined },
    ready: async (event: LogEvent) => ready?.([event], one.ended),
  }
  for (let more = true; more && !one.ended.aborted; ) {
    const tried = await retryOne(database, application, (error) => isOfEvent(error, one.consumer))
    more = tried.more
    if (tried.applied.length > 0) one.consumer.applied?.(tried.applied)
    if (tried.failure) onError(name, tried.failure.error)
  }
  one.retryAsked = false
}

const watchSql = `
  select name, paused, seq, dead, exists (
    select from runtime.dead_events where consumer = name and retry_asked_at is not null) as "retryAsked"
  from runtime.consumers where name = any ($1::text[])`
type Watched = { name: string; paused: boolean; seq: number; dead: number; retryAsked: boolean }

async function watch(options: PostgresBusOptions, running: ReadonlyMap<unknown, Running>, ended: AbortSignal) {
  while (!ended.aborted) {
    await options.clock.sleep(limits.consumerWatchMs, ended)
    if (!ended.aborted)
      await lookAtRows(options, running).catch((error) => ended.aborted || options.onError('watch', error))
  }
}

/** One statement for all consumers of the process. */
async function lookAtRows(
  { database, clock }: PostgresBusOptions,
  running: ReadonlyMap<unknown, Running>,
): Promise<void> {
  const names = [...new Set([...running.values()].map(({ consumer }) => consumer.name))]
  if (names.length === 0) return
  const rows = await database.query<Watched>(watchSql, [textArray(names)])
  const found = new Map(rows.map((row) => [row.name, row]))
  for (const one of running.values()) {
    const row = found.get(one.consumer.name)
    heed(one, row)
    const { name, retryAsideMs } = one.consumer
    if (retryAsideMs === undefined || !row || row.dead === 0 || clock.elapsedMs() < one.retryAsideAtMs) continue
    one.retryAsideAtMs = clock.elapsedMs() + retryAsideMs
    await askForRetryOfAll(database, name) // heeded with the next look
  }
}

function heed(one: Running, wanted: Watched | undefined): void {
  if (!wanted) return
  const isMoved = one.isIdle && one.seq !== wanted.seq
  const isResumed = one.isPaused && !wanted.paused
  one.isPaused = wanted.paused
  one.retryAsked = wanted.retryAsked
  if (isMoved) one.seq = undefined
  if (isMoved || isResumed || wanted.retryAsked) one.alarm.abort()
}
