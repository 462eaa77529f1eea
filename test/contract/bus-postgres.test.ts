// The bus on the cell's own database keeps the promises of every bus.

import { startLogReader } from '../../src/runtime/logreader.ts'
import type { Database } from '../../src/runtime/pg.ts'
import { append, createEventLog } from '../support/event-log.ts'
import { type BusHarness, busContract } from './bus.contract.ts'
import { startBusProcess } from './bus-process.ts'
import { byHand } from './by-hand.ts'

async function openHarness(): Promise<BusHarness> {
  const log = await createEventLog()
  const openReader = (database: Database) =>
    startLogReader({ database, lives: log.lives, now: Date.now, pollMs: 10, onError: () => {} })
  return {
    database: log.database,
    publish: async (events) => void (await log.database.transaction((session) => append(session, events))),
    start: () => startBusProcess(log, openReader),
    byHand: byHand(log),
    close: () => log.database.close(),
  }
}

busContract('the bus on postgres', openHarness)
