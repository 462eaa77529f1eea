// The bus on the cell's own database keeps the promises of every bus.

import type { Uuid } from '../../src/base/ids.ts'
import { postgresBus } from '../../src/runtime/bus-postgres.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { rewindConsumer, setPaused } from '../../src/runtime/consumers-admin.ts'
import { askForRetry, dropDeadEvent, listDeadEvents } from '../../src/runtime/dead-events.ts'
import { startLogReader } from '../../src/runtime/logreader.ts'
import { openDatabase } from '../../src/runtime/pg.ts'
import { append, createEventLog, type EventLog } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { type BusHarness, type BusProcess, type ByHand, busContract, triesMax } from './bus.contract.ts'

let processes = 0

async function startProcess(log: EventLog): Promise<BusProcess> {
  const applicationName = `process ${++processes}`
  const database = openDatabase({ url: log.url, applicationName })
  const errors: unknown[] = []
  const reader = await startLogReader({ database, lives: log.lives, now: Date.now, pollMs: 10, onError: () => {} })
  const onError = (_: string, error: unknown) => void errors.push(error)
  const bus = postgresBus({ database, reader, clock: systemClock, onError, triesMax })
  const close = async (): Promise<void> => {
    await bus.close()
    await reader.stop()
    await database.close()
  }
  const cut = `select pg_terminate_backend(pid) from pg_stat_activity where application_name like $1`
  return {
    bus,
    errors,
    close,
    async crash() {
      let closed = false
      const closing = close().finally(() => {
        closed = true
      })
      await eventually(async () => {
        await log.database.query(cut, [`${applicationName} %`])
        return closed
      })
      await closing
    },
  }
}

function byHand({ database, lives }: EventLog): ByHand {
  return {
    async dead(consumer) {
      const found = await listDeadEvents(database, { shopId: null, before: null, limit: 1_000 })
      return found
        .filter((event) => event.consumer === consumer)
        .sort((a, b) => a.seq - b.seq)
        .map(({ id, subject, subjectVersion, tries, reason }) => ({
          id,
          what: `${subject}:${subjectVersion}`,
          tries,
          reason,
        }))
    },
    retry: async (id) => void (await askForRetry(database, id as Uuid, null)),
    async drop(id) {
      const outcome = await dropDeadEvent(database, { id: id as Uuid, shopId: null })
      return outcome.ok ? undefined : outcome.code
    },
    pause: async (consumer) => void (await setPaused(database, consumer, true)),
    resume: async (consumer) => void (await setPaused(database, consumer, false)),
    async rewindToStart(name) {
      const outcome = await rewindConsumer(database, lives, { name, to: 'start', force: false })
      if (!outcome.ok) throw new Error(outcome.code)
    },
  }
}

async function openHarness(): Promise<BusHarness> {
  const log = await createEventLog()
  return {
    database: log.database,
    publish: async (events) => void (await log.database.transaction((session) => append(session, events))),
    start: () => startProcess(log),
    byHand: byHand(log),
    close: () => log.database.close(),
  }
}

busContract('the bus on postgres', openHarness)
