// The bus on the cell's own database keeps the promises of every bus.

import { postgresBus } from '../../src/runtime/bus-postgres.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { startLogReader } from '../../src/runtime/logreader.ts'
import { openDatabase } from '../../src/runtime/pg.ts'
import { append, createEventLog, type EventLog } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { type BusHarness, type BusProcess, busContract, triesMax } from './bus.contract.ts'
import { byHand } from './by-hand.ts'

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
