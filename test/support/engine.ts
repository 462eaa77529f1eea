// An engine on a database of its own, without HTTP: for tests that step batches by hand.
import { randomUUID } from 'node:crypto'
import { type CellName, type LocationCode, type ShopId, type Sku, type Uuid, uuidV7 } from '../../src/base/ids.ts'
import type { Currency, MinorUnits } from '../../src/base/money.ts'
import { addMs, instant } from '../../src/base/time.ts'
import { createEngine, type EngineStore, type EngineTx } from '../../src/modules/orders/engine.ts'
import { createPostgresStore } from '../../src/modules/orders/engine-postgres.ts'
import { makeMonthPartitions } from '../../src/modules/orders/housekeeping.ts'
import { defaultTerms } from '../../src/modules/orders/life.ts'
import type { CommandOutcome, PlaceOrder, Submission } from '../../src/modules/orders/types.ts'
import type { AdjustStock, PlaceHold } from '../../src/modules/stock/types.ts'
import { migrate, readMigrations } from '../../src/runtime/migrate.ts'
import { ensureEventPartitions } from '../../src/runtime/partitions.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { migrationSources } from '../../src/units.ts'
import { createDatabase } from './postgres.ts'

export const shopId = 1 as ShopId
export const cell = 'eu1' as CellName

/** A migrated database with the location `main`. */
export async function openTestCell(): Promise<Database> {
  const database = openDatabase({ url: await createDatabase(), applicationName: 'test' })
  await migrate(database, await readMigrations(migrationSources))
  await ensureEventPartitions(database)
  await makeMonthPartitions(database, instant(Date.now()))
  await database.transaction((session) =>
    session.run("insert into stock.locations (shop_id, code, name, cell) values (1, 'main', 'Main', 'eu1')"),
  )
  return database
}

/** One server process's engine: its own lanes on the shared database. `wrap` sees every transaction. */
export function openEngine(database: Database, wrap: (tx: EngineTx) => EngineTx = (tx) => tx) {
  const store = createPostgresStore((lane) => database.openSession(`lane ${lane}`))
  const wrapped: EngineStore = {
    transaction: (lane, work) => store.transaction(lane, (tx) => work(wrap(tx))),
  }
  const engine = createEngine(wrapped, { cell, startedAt: instant(0) })
  return {
    run: (...submissions: Submission[]): Promise<CommandOutcome[]> => engine.run(0, submissions),
    runOn: (lane: number, ...submissions: Submission[]): Promise<CommandOutcome[]> => engine.run(lane, submissions),
    close: () => store.close(),
  }
}

export const newUuid = (): Uuid =>
  uuidV7(instant(Date.now()), Uint8Array.from(Buffer.from(randomUUID().replaceAll('-', ''), 'hex')))
export const newKey = () => ({ hash: randomUUID().replaceAll('-', ''), request: randomUUID().replaceAll('-', '') })

export function submission(command: Submission['command'], key: Submission['key'] = newKey()): Submission {
  return { command, key, deadline: addMs(instant(Date.now()), 60_000) }
}

export function placeOrder(units: Record<string, number>, more: Partial<PlaceOrder> = {}): PlaceOrder {
  return {
    kind: 'place_order',
    shopId,
    orderId: newUuid(),
    currency: 'EUR' as Currency,
    lines: Object.entries(units).map(([sku, quantity]) => ({
      sku: sku as Sku,
      quantity,
      unitPrice: 500 as MinorUnits,
      amount: (500 * quantity) as MinorUnits,
    })),
    holdId: null,
    customer: null,
    reference: null,
    provider: null,
    payment: null,
    terms: defaultTerms,
    review: null,
    placedAt: null,
    personal: null,
    annotations: null,
    ...more,
  }
}

export function placeHold(units: Record<string, number>, ttlMs: number): PlaceHold {
  const lines = Object.entries(units).map(([sku, quantity]) => ({ sku: sku as Sku, quantity }))
  return { kind: 'place_hold', shopId, holdId: newUuid(), lines, ttlMs }
}

export function receive(units: Record<string, number>, location = 'main'): AdjustStock {
  return {
    kind: 'adjust_stock',
    shopId,
    adjustments: Object.entries(units).map(([sku, delta]) => ({
      sku: sku as Sku,
      location: location as LocationCode,
      change: { delta },
      reason: 'received',
    })),
  }
}

/** What a batch answered, short: `order`, `hold`, `earlier` …, or the refusal's code. */
export const told = (outcomes: readonly CommandOutcome[]): string[] =>
  outcomes.map((outcome) => (outcome.ok ? outcome.value.kind : outcome.code))

export type Counters = { on_hand: number; reserved: number; committed: number }

export async function countersOf(database: Database, sku: string): Promise<Counters> {
  const [sums] = await database.query<Counters>(
    `select sum(on_hand)::bigint as on_hand, sum(reserved)::bigint as reserved, sum(committed)::bigint as committed
     from stock.rows where sku = $1`,
    [sku],
  )
  return { ...sums! }
}
