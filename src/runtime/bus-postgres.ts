// The bus that needs nothing but the cell's own database: consumers read the event log through the process's reader, which
// gives them everything in order, and store position and effect in one transaction.

import type { Uuid } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Bus, Consumer, Consumption } from './bus.ts'
import type { Clock } from './clock.ts'
import { type LogEvent, type LogPage, readGaps } from './event-log.ts'
import { alignPosition, lockPosition, type Reread, storePosition, takeFresh } from './inbox.ts'
import { presentLife } from './incarnation.ts'
import type { LogReader } from './logreader.ts'
import type { Database } from './pg.ts'

export type PostgresBusOptions = {
  database: Database
  reader: LogReader
  clock: Clock
  onError: (consumer: string, error: unknown) => void
}

export function postgresBus(options: PostgresBusOptions): Bus {
  const running = new Set<Consumption>()
  return {
    consume(consumer) {
      const ended = new AbortController()
      const looping = loop(options, consumer, ended.signal)
      const consumption: Consumption = {
        async stop() {
          ended.abort()
          await looping
          running.delete(consumption)
        },
      }
      running.add(consumption)
      return consumption
    },
    async close() {
      await Promise.all([...running].map((one) => one.stop()))
    },
  }
}

async function loop(options: PostgresBusOptions, consumer: Consumer, signal: AbortSignal): Promise<void> {
  const leave = options.reader.attend()
  try {
    await consume(options, consumer, signal)
  } finally {
    leave()
  }
}

async function consume(options: PostgresBusOptions, consumer: Consumer, signal: AbortSignal): Promise<void> {
  const { clock, onError } = options
  let seq: number | undefined
  let failures = 0
  let singlyUpTo = 0 // after a failure events go one by one, so that one that cannot be applied holds up none before it
  while (!signal.aborted) {
    const life = presentLife(options.reader.lives).incarnation
    try {
      seq ??= await align(options, consumer)
      const max = seq < singlyUpTo ? 1 : limits.consumerChunkMax
      const page = await options.reader.read(seq, { types: consumer.types }, max)
      if (page === 'expired') throw new Error(`events after ${seq} were dropped before ${consumer.name} had read them`)
      if (max > 1) singlyUpTo = page.seq
      if (page.seq === seq) await options.reader.beyond(seq, signal)
      else seq = await deliver(options, consumer, { life, seq }, page)
      failures = 0
      if (max > 1) singlyUpTo = 0
      if (presentLife(options.reader.lives).incarnation !== life) seq = undefined
    } catch (error) {
      onError(consumer.name, error)
      seq = undefined
      await clock.sleep(Math.min(limits.consumerBackoffMsMax, 10 * 2 ** failures++), signal)
    }
  }
}

async function align({ database, reader }: PostgresBusOptions, consumer: Consumer): Promise<number> {
  const oldest = await reader.oldestKept()
  return database.transaction((session) => alignPosition(session, consumer.name, reader.lives, oldest))
}

/** Applies the page and moves on; answers where the consumer then stands, undefined when that has to be found out anew. */
async function deliver(
  { database, reader }: PostgresBusOptions,
  consumer: Consumer,
  from: { life: Uuid; seq: number },
  page: LogPage,
): Promise<number | undefined> {
  let applied: readonly LogEvent[] = []
  const seq = await database.transaction(async (session) => {
    applied = []
    const stored = await lockPosition(session, consumer.name)
    if (stored?.incarnation !== from.life) return undefined
    if (stored.seq !== from.seq) return stored.seq // another process has been faster
    // A consumer of some types only sees gaps that are none; the reader leaves out nothing that it wants.
    const reread: Reread = (gaps) => readGaps(session.run, gaps, reader.horizon, limits.logChunkMax)
    const fresh: LogEvent[] = await takeFresh(session, consumer.name, page.events, consumer.types ? undefined : reread)
    if (fresh.length > 0) await consumer.apply(session, fresh)
    await storePosition(session, consumer.name, { incarnation: from.life, seq: page.seq })
    applied = fresh
    return page.seq
  })
  if (applied.length > 0) consumer.applied?.(applied)
  return seq
}
