// The auditor must say so when any counter, any movement or any closed balance is not what the log makes of it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { instant } from '../../../src/base/time.ts'
import { type AuditResult, closeBalances, createAuditor, runAudit } from '../../../src/modules/stock/audit.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { openEngine, openTestCell, placeHold, placeOrder, receive, shopId, submission } from '../../support/engine.ts'

let database: Database
let engine: ReturnType<typeof openEngine>

const lastSeq = async () =>
  (await database.query<{ seq: number }>('select coalesce(max(seq), 0)::bigint as seq from runtime.events'))[0]!.seq
const audit = (): Promise<AuditResult> => runAudit({ database, settledSeq: lastSeq, now: () => instant(Date.now()) })
const differences = async () => (await audit()).shops.get(shopId)!.differences
const write = (text: string) => database.transaction((session) => session.run(text))

beforeAll(async () => {
  database = await openTestCell()
  engine = openEngine(database)
  const paid = placeOrder({ 'A-1': 3, 'A-2': 1 }, { provider: 'none' })
  const cancelled = placeOrder({ 'A-1': 5 }, { provider: 'none' })
  await engine.run(submission(receive({ 'A-1': 100, 'A-2': 50 })))
  await engine.run(submission(paid), submission(cancelled), submission(placeOrder({ 'A-1': 7 })))
  await engine.run(submission(placeHold({ 'A-2': 4 }, 60_000)))
  await engine.run(
    submission({
      kind: 'cancel_order',
      shopId,
      orderId: cancelled.orderId,
      reason: 'buyer',
      lines: null,
      ifVersion: null,
    }),
  )
  await write(`
    insert into runtime.events (shop_id, event_id, subject, subject_version, type, at, data, moves)
    select 1, gen_random_uuid(), 'ord_test', 1, 'shipment.created', now(), '{}', array[id, -2, 0, -2, 2]
    from stock.rows where sku = 'A-1'`)
  await write(`update stock.rows set on_hand = on_hand - 2, committed = committed - 2, shipped = 2 where sku = 'A-1'`)
})
afterAll(async () => {
  await engine.close()
  await database.close()
})

test('sums are what was received, sold, held and shipped', async () => {
  expect((await audit()).shops.get(shopId)).toEqual({
    sums: {
      received: 150,
      returned: 0,
      corrections: 0,
      transferred: 0,
      on_hand: 148,
      reserved: 11,
      committed: 2,
      shipped: 2,
      in_flight: 0,
    },
    differences: [],
    oversold: 0,
  })
})

test('what is sold or held beyond what is there, over all rows of a SKU, is oversold', async () => {
  const oversold = async () => (await audit()).shops.get(shopId)!.oversold
  const [row] = await database.query<{ free: number }>(
    `select (sum(on_hand + allowance - reserved - committed))::bigint as free from stock.rows where sku = 'A-1'`,
  )
  await write(`update stock.rows set committed = committed + ${row!.free} where sku = 'A-1' and location = 'main'`)
  expect(await oversold()).toBe(0)
  await write(`update stock.rows set committed = committed + 3 where sku = 'A-1' and location = 'main'`)
  expect(await oversold()).toBe(3)
  await write(`update stock.rows set committed = committed - ${row!.free + 3} where sku = 'A-1' and location = 'main'`)
})

describe.each(['with every balance still in the log', 'with balances closed'])('%s', (state) => {
  beforeEach(async () => {
    if (state === 'with balances closed') await closeBalances(database, await lastSeq())
    else await write(`with gone as (delete from stock.balances) update stock.balance_position set closed_seq = 0`)
  })

  test.each(['on_hand', 'reserved', 'committed', 'shipped'])(
    'a corrupted %s is found, with its row and by how much',
    async (counter) => {
      await write(`update stock.rows set ${counter} = ${counter} + 1 where sku = 'A-1'`)
      const [found, ...more] = await differences()
      await write(`update stock.rows set ${counter} = ${counter} - 1 where sku = 'A-1'`)
      expect(more).toEqual([])
      expect(found).toMatchObject({ sku: 'A-1', location: 'main', counter, actual: found!.expected + 1 })
      expect(await differences()).toEqual([])
    },
  )

  test('a row that nobody logged is found', async () => {
    await write(`insert into stock.rows (shop_id, sku, location, on_hand) values (1, 'ghost', 'main', 5)`)
    const found = await differences()
    await write(`delete from stock.rows where sku = 'ghost'`)
    expect(found).toEqual([{ sku: 'ghost', location: 'main', counter: 'on_hand', expected: 0, actual: 5 }])
  })
})

test('an event that is missing from the log is found', async () => {
  await write(`with gone as (delete from stock.balances) update stock.balance_position set closed_seq = 0`)
  await write(`update runtime.events set moves = '{}' where type = 'order.confirmed'`)
  expect(await differences()).not.toEqual([])
})

test('a row that is gone is found', async () => {
  await write(`delete from stock.rows where sku = 'A-2'`)
  expect((await differences()).some((one) => one.sku === null && one.actual === null)).toBe(true)
})

test('asked for a fresh result, the auditor answers with a run that began after the question', async () => {
  const started: number[] = []
  let clock = 0
  const auditor = createAuditor({
    database,
    settledSeq: async () => {
      started.push(++clock)
      return lastSeq()
    },
    now: () => instant(clock),
  })
  const running = auditor.run()
  const fresh = await auditor.result({ fresh: true })
  expect(started).toEqual([1, 2])
  expect(fresh).not.toBe(await running)
  expect(await auditor.result({ fresh: false })).toBe(fresh)
})
