// Several processes on one database: each delivery is sent once, one of them sends to an endpoint, and when it is gone another
// goes on. And what an operator does with deliveries that are dead.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CellName, ShopId } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import { eventJson } from '../../../src/modules/orders/service.ts'
import { deadDeliveries } from '../../../src/modules/webhooks/dead.ts'
import { keepDeliveries } from '../../../src/modules/webhooks/housekeeping.ts'
import { startWebhooks, type Webhooks } from '../../../src/modules/webhooks/service.ts'
import { postgresBus } from '../../../src/runtime/bus-postgres.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { ensureIncarnation } from '../../../src/runtime/incarnation.ts'
import { startLogReader } from '../../../src/runtime/logreader.ts'
import { openDatabase } from '../../../src/runtime/pg.ts'
import { eventually } from '../../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../../support/http-cell.ts'
import { openReceiver, type Receiver } from '../../support/webhook-receiver.ts'

const cellName = 'eu1' as CellName
const shop = 1 as ShopId
let cell: HttpCell
let hook: Receiver
let endpoint: string

beforeAll(async () => {
  cell = await openHttpCell()
  hook = await openReceiver()
  await receive(cell, 'A-1', 10_000)
  const made = await cell.call('POST', '/v1/webhook-endpoints', { body: { url: hook.url, types: ['order.placed'] } })
  endpoint = made.json.id
})
afterAll(async () => {
  await cell.stop()
  await hook.close()
})

/** The part of another process that does webhooks, on the same database. */
async function openProcess(): Promise<{ webhooks: Webhooks; stop(): Promise<void> }> {
  const database = openDatabase({ url: cell.database.url, applicationName: 'another process' })
  const lives = await ensureIncarnation(database)
  const onError = () => {}
  const reader = await startLogReader({ database, lives, now: systemClock.elapsedMs, onError })
  const bus = postgresBus({ database, reader, clock: systemClock, onError, onGivenUp: onError })
  const webhooks = startWebhooks({
    cell: cellName,
    database,
    bus,
    reader,
    clock: systemClock,
    publicOnly: false,
    chance: () => 0.5,
    onAttempt: () => {},
    thawed: async () => {},
    bodyOf: (event) => eventJson(event, cellName),
    onError,
  })
  return {
    webhooks,
    async stop() {
      await webhooks.stop()
      await bus.close()
      await reader.stop()
      await database.close()
    },
  }
}

const place = (count: number) =>
  Promise.all(Array.from({ length: count }, () => cell.call('POST', '/v1/orders', { body: orderBody('A-1') })))

const isOver = async (count: number): Promise<boolean> => {
  const sql = `select count(*)::int as count from webhooks.deliveries where state in ('delivered', 'dead')`
  const [row] = await cell.database.query<{ count: number }>(sql)
  return row!.count === count
}

const change = (sql: string) => cell.database.transaction((session) => session.run(sql))

describe('with three processes', () => {
  it('each delivery is sent once, in the order of its subject', async () => {
    const others = await Promise.all([openProcess(), openProcess()])
    await place(300)
    await eventually(() => isOver(300), 20_000)
    expect(hook.received.length).toBe(300)
    expect(new Set(hook.received.map(({ id }) => id)).size).toBe(300)
    expect(hook.openMax).toBeLessThanOrEqual(limits.webhookInFlightMax)
    await Promise.all(others.map((one) => one.stop()))
  })

  it('and the one that sends gone, another goes on with what it had begun', async () => {
    const before = hook.received.length
    const other = await openProcess()
    const { promise: patience, resolve: letGo } = Promise.withResolvers<void>()
    hook.answer(async () => {
      await patience
      return { status: 200 }
    })
    await place(100)
    await eventually(() => hook.received.length >= before + limits.webhookInFlightMax)
    // The session that holds the endpoint dies, as it does with its process; its requests are still open.
    await change(
      `select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
       where locktype = 'advisory' and classid::int8 = (hashtext('holdfast.webhooks')::int8 & 4294967295)`,
    )
    letGo()
    await eventually(() => isOver(400), 20_000)
    expect(new Set(hook.received.slice(before).map(({ event }) => event.subject)).size).toBe(100)
    await other.stop()
  })
})

describe('a dead delivery', () => {
  const dead = () => deadDeliveries(cell.database, cellName)

  it('is listed with its reason, can be sent again, and dropped', async () => {
    await change(`update webhooks.deliveries set state = 'dead', reason = 'attempts_exhausted', tries = 10, attempts = 10
      where id in (select id from webhooks.deliveries order by id desc limit 2)`)
    const [first, second] = await dead().list(shop, { before: null, limit: 10 })
    expect(first).toMatchObject({ kind: 'webhook_delivery', reason: 'attempts_exhausted', tries: 10 })
    expect(first!.orderId).toMatch(/^ord_eu1_/)
    expect(first!.data).toMatchObject({ endpoint_id: endpoint, type: 'order.placed', last_answer: '200' })
    expect(await dead().list(shop, { before: first!.number, limit: 1 })).toEqual([second])
    expect(await dead().get(shop, first!.id)).toEqual(first)
    expect(await dead().get(2 as ShopId, first!.id)).toBeUndefined()
    expect(await dead().get(shop, 'whd_eu1_x')).toBeUndefined()

    expect(await dead().retry(shop, first!.id)).toBe(true)
    await eventually(() => hook.received.at(-1)!.id === first!.id)
    expect(await dead().retry(shop, first!.id)).toBe(false)
    expect([await dead().drop(shop, second!.id), await dead().drop(shop, second!.id)]).toEqual([true, false])
    const sql = `select count(*)::int as count from webhooks.attempts a
      where not exists (select from webhooks.deliveries d where d.endpoint_id = a.endpoint_id and d.id = a.delivery_id)`
    expect((await cell.database.query<{ count: number }>(sql))[0]!.count).toBe(0)
  })
})

describe('housekeeping', () => {
  it('wakes what nobody has woken, and forgets what is older than thirty days', async () => {
    await eventually(
      async () => (await cell.database.query(`select 1 from webhooks.deliveries where state = 'ready'`)).length === 0,
    )
    await change(`update webhooks.deliveries set state = 'waiting', next_at = now() - interval '2 minutes'
      where id = (select max(id) from webhooks.deliveries)`)
    await change(`update webhooks.deliveries set created_at = now() - interval '31 days'
      where id < (select max(id) - 10 from webhooks.deliveries)`)
    const before = hook.received.length
    await keepDeliveries(cell.database)
    await eventually(() => hook.received.length === before + 1)
    const counts = await cell.database.query<{ deliveries: number; attempts: number }>(
      `select (select count(*)::int from webhooks.deliveries) as deliveries,
         (select count(distinct delivery_id)::int from webhooks.attempts) as attempts`,
    )
    expect(counts[0]!.deliveries).toBeLessThanOrEqual(11)
    expect(counts[0]!.attempts).toBe(counts[0]!.deliveries)
  })
})
