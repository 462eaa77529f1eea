// A database with an empty event log, and events to put into it.
import { randomUUID } from 'node:crypto'
import type { Uuid } from '../../src/base/ids.ts'
import { instant } from '../../src/base/time.ts'
import { ensureIncarnation, type Lives } from '../../src/runtime/incarnation.ts'
import { type LogReader, startLogReader } from '../../src/runtime/logreader.ts'
import { migrate, readMigrations } from '../../src/runtime/migrate.ts'
import { appendEventsParams, appendEventsSql, type NewEvent } from '../../src/runtime/outbox.ts'
import { ensureEventPartitions } from '../../src/runtime/partitions.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { DatabaseUnavailable } from '../../src/runtime/pg-failure.ts'
import type { Session } from '../../src/runtime/pg-session.ts'
import { runtimeMigrations } from '../../src/runtime/schema.ts'
import { createDatabase } from './postgres.ts'

export type EventLog = { url: string; database: Database; lives: Lives }

export async function createEventLog(sizes = { seqs: 1_000_000, ahead: 1 }): Promise<EventLog> {
  const url = await createDatabase()
  const database = openDatabase({ url, applicationName: 'test' })
  await migrate(database, await readMigrations([runtimeMigrations]))
  await ensureEventPartitions(database, sizes)
  return { url, database, lives: await ensureIncarnation(database) }
}

export const anEvent = (fields: Partial<NewEvent> = {}): NewEvent => ({
  shopId: 1,
  eventId: randomUUID() as Uuid,
  subject: 'order/1',
  subjectVersion: 1,
  type: 'order.placed',
  at: instant(1_780_000_000_123),
  data: { hello: 'world' },
  moves: [],
  ...fields,
})

export const append = (session: Session, events: readonly NewEvent[]) =>
  session.run(appendEventsSql, appendEventsParams(events))

/** Versions 1, 2, … of one subject. */
export const history = (subject: string, count: number, fields: Partial<NewEvent> = {}): NewEvent[] =>
  Array.from({ length: count }, (_, at) => anEvent({ subject, subjectVersion: at + 1, ...fields }))

export const readerOf = (log: EventLog): Promise<LogReader> =>
  startLogReader({
    database: log.database,
    lives: log.lives,
    now: Date.now,
    pollMs: 10,
    onError: (error) => {
      if (!(error instanceof DatabaseUnavailable)) throw error
    },
  })
