// The engine's contract on the memory store.
import type { LocationCode } from '../../src/base/ids.ts'
import { addMs, type Instant, instant } from '../../src/base/time.ts'
import { createEngine, type EngineStore } from '../../src/modules/orders/engine.ts'
import { createMemoryStore } from '../../src/modules/orders/engine-memory.ts'
import { createMemoryDatabase, putLocation } from '../../src/modules/orders/memory-database.ts'
import { cell, shopId } from '../support/engine.ts'
import { eventually } from '../support/eventually.ts'
import { engineContract } from './engine.contract.ts'
import type { EngineBench } from './engine-bench.ts'

engineContract('memory', async (): Promise<EngineBench> => {
  let now: Instant = instant(Date.UTC(2026, 0, 1))
  const database = createMemoryDatabase({ clock: () => now })
  const { tables } = database
  const site = { country: null, lat: null, lon: null }
  putLocation(database, shopId, 'main' as LocationCode, { ...site, priority: 0 })
  putLocation(database, shopId, 'east' as LocationCode, { ...site, priority: 1 })
  return {
    process(wrap = (tx) => tx) {
      const store = createMemoryStore(database)
      const wrapped: EngineStore = { transaction: (lane, work) => store.transaction(lane, (tx) => work(wrap(tx))) }
      const engine = createEngine(wrapped, { cell, startedAt: now })
      return {
        run: (...submissions) => engine.run(0, submissions),
        runOn: (lane, ...submissions) => engine.run(lane, submissions),
        close: async () => store.close(),
      }
    },
    readState: async () => ({
      rows: [...tables.rows.values()],
      orders: [...tables.orders.values()],
      holds: [...tables.holds.values()],
      keys: [...tables.keys.values()],
      events: tables.events,
    }),
    elapse: async (ms) => {
      now = addMs(now, ms)
    },
    somebodyWaits: () => eventually(() => database.locks.areAwaited()),
    close: async () => {},
  }
})
