// Whether a cell has an order that is not over, found slice by slice.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ShopId, type Uuid, uuidV7 } from '../../../src/base/ids.ts'
import { instant } from '../../../src/base/time.ts'
import { makeMonthPartitions } from '../../../src/modules/orders/housekeeping.ts'
import { hasOpenOrders } from '../../../src/modules/orders/reads.ts'
import type { OrderStatus } from '../../../src/modules/orders/states.ts'
import { migrate, readMigrations } from '../../../src/runtime/migrate.ts'
import { type Database, openDatabase } from '../../../src/runtime/pg.ts'
import { migrationSources } from '../../../src/units.ts'
import { createDatabase } from '../../support/postgres.ts'

const now = instant(Date.UTC(2026, 5, 15))
const slice = 10

let database: Database
beforeAll(async () => {
  database = openDatabase({ url: await createDatabase(), applicationName: 'test' })
  await migrate(database, await readMigrations(migrationSources))
  await makeMonthPartitions(database, now)
})
afterAll(() => database.close())

const orderOf = (at: number): Uuid => uuidV7(instant(now + at), new Uint8Array(10))

async function fill(shopId: number, count: number): Promise<void> {
  const ids = `{${Array.from({ length: count }, (_, at) => orderOf(at)).join()}}`
  await database.transaction((session) =>
    session.run(
      `insert into orders.states (shop_id, id, status, version, updated_at, row_ids)
       select $1, id, 'completed', 1, clock_timestamp(), '{}' from unnest($2::uuid[]) id`,
      [shopId, ids],
    ),
  )
}

const set = (shopId: ShopId, id: Uuid, status: OrderStatus) =>
  database.transaction((session) =>
    session.run('update orders.states set status = $3 where shop_id = $1 and id = $2', [shopId, id, status]),
  )

test('none is open when there are none, and when all are over', async () => {
  expect(await hasOpenOrders(database, slice)).toBe(false)
  await fill(1, 3 * slice)
  await fill(2, slice + 1)
  expect(await hasOpenOrders(database, slice)).toBe(false)
})

test.each([
  [1, 0],
  [1, slice],
  [1, 3 * slice - 1],
  [2, 0],
  [2, slice],
])('one is found wherever it stands: in shop %i, order %i', async (shopId, at) => {
  for (const status of ['in_review', 'confirmed'] as const) {
    await set(shopId as ShopId, orderOf(at), status)
    expect(await hasOpenOrders(database, slice)).toBe(true)
  }
  await set(shopId as ShopId, orderOf(at), 'completed')
  expect(await hasOpenOrders(database, slice)).toBe(false)
})
