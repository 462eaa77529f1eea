// A cell's database and engine without HTTP, for the benches that need no server: an embedded PostgreSQL with its durable
// settings, migrated, with stock of every SKU.
import type { CellName, LocationCode, ShopId, Sku } from '../src/base/ids.ts'
import { addMs } from '../src/base/time.ts'
import { createEngine, type EngineStore, rowsOf } from '../src/modules/orders/engine.ts'
import { createPostgresStore } from '../src/modules/orders/engine-postgres.ts'
import { makeMonthPartitions } from '../src/modules/orders/housekeeping.ts'
import type { CommandOutcome, Submission } from '../src/modules/orders/types.ts'
import { ensureShop } from '../src/modules/shops/service.ts'
import { ensureMainLocation } from '../src/modules/stock/reads.ts'
import { type Batcher, createBatcher } from '../src/runtime/batch.ts'
import { systemClock } from '../src/runtime/clock.ts'
import type { DatabaseUrl } from '../src/runtime/database-url.ts'
import { startEmbedded } from '../src/runtime/embedded.ts'
import { ensureIncarnation } from '../src/runtime/incarnation.ts'
import { migrate, readMigrations } from '../src/runtime/migrate.ts'
import { ensureEventPartitions } from '../src/runtime/partitions.ts'
import { type Database, openDatabase } from '../src/runtime/pg.ts'
import { failureClass } from '../src/runtime/pg-failure.ts'
import { migrationSources } from '../src/units.ts'
import { skuOf, skusSpread, unitsOnHand } from './shapes.ts'

const cell = 'eu1' as CellName

export type Store = { url: DatabaseUrl; database: Database; shopId: ShopId; stop(): Promise<void> }

export async function openStore(folder: string): Promise<Store> {
  const embedded = await startEmbedded({ folder })
  const database = openDatabase({ url: embedded.url, applicationName: 'holdfast bench' })
  const stop = async () => {
    await database.close()
    await embedded.stop()
  }
  try {
    await migrate(database, await readMigrations(migrationSources))
    await ensureIncarnation(database)
    await ensureEventPartitions(database)
    await makeMonthPartitions(database, systemClock.now())
    const shop = await ensureShop(database, cell)
    await ensureMainLocation(database, shop.id, cell)
    return { url: embedded.url, database, shopId: shop.id, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

export type EngineRun = {
  batcher: Batcher<Submission, CommandOutcome>
  /** Commands and batches since the last call. */
  takeCounts(): { commands: number; batches: number }
  stop(): Promise<void>
}

/** The engine behind its queue, as a cell builds it. `around` may look at what the store is asked. */
export function openEngine(store: Store, lanes: number, around: (inner: EngineStore) => EngineStore): EngineRun {
  const postgres = createPostgresStore((lane) => store.database.openSession(`lane ${lane}`))
  const engine = createEngine(around(postgres), { cell, startedAt: systemClock.now() })
  let counts = { commands: 0, batches: 0 }
  const batcher = createBatcher<Submission, CommandOutcome>({
    lanes,
    run: engine.run,
    rowsOf,
    keyOf: ({ key, command }) => (key && 'shopId' in command ? `${command.shopId} ${key.hash}` : null),
    deadlineOf: ({ deadline }) => deadline,
    failureClass,
    time: { now: systemClock.now, sleep: systemClock.sleep, afterArrivals: setImmediate },
    onBatch: ({ commands }) => {
      counts.commands += commands
      counts.batches++
    },
  })
  return {
    batcher,
    takeCounts() {
      const taken = counts
      counts = { commands: 0, batches: 0 }
      return taken
    },
    async stop() {
      await batcher.stop()
      await postgres.close()
    },
  }
}

/** Units of every SKU, through the engine, so that the log and the counters agree. */
export async function receiveUnits({ shopId }: Store, { batcher }: EngineRun): Promise<void> {
  const adjustments = Array.from({ length: skusSpread }, (_, at) => ({
    sku: skuOf(at) as Sku,
    location: 'main' as LocationCode,
    reason: 'received' as const,
    change: { delta: unitsOnHand },
  }))
  const deadline = addMs(systemClock.now(), 30_000)
  const outcome = await batcher.submit({ command: { kind: 'adjust_stock', shopId, adjustments }, key: null, deadline })
  if (!outcome.ok) throw new Error(`the stock was refused: ${outcome.code}`)
}
