// A `geo` cell over HTTP, on two real servers: nothing that it tells anybody can be lost with its region.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openSql } from '../../src/runtime/database-url.ts'
import { eventually } from '../support/eventually.ts'
import { type Answer, type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { type Replicated, startReplicated } from '../support/replicated.ts'

let servers: Replicated
let cell: HttpCell

beforeAll(async () => {
  servers = await startReplicated({ delayMs: 20 })
  cell = await openHttpCell({ durability: 'geo' }, { url: servers.primary.url })
  await isReady()
  await receive(cell, 'A', 1_000_000)
}, 60_000)

afterAll(async () => {
  await cell.stop()
  await servers.stop()
})

beforeEach(() => async () => {
  servers.thaw()
  await isReady()
})

const isReady = () => eventually(async () => (await cell.call('GET', '/readyz')).status === 200, 20_000)

const place = (more: object = {}, key: string | null = crypto.randomUUID()): Promise<Answer> =>
  cell.call('POST', '/v1/orders', { body: orderBody('A', 1, more), key })

const orderEvents = async (id: string): Promise<Answer> => cell.call('GET', `/v1/orders/${id}/events`)

/** What it has flushed it replays a moment later. */
const standbyHas = (count: number, statement: string): Promise<void> =>
  eventually(async () => {
    const sql = openSql(servers.standby.url, { max: 1 })
    try {
      return Number((await sql.unsafe(statement))[0]!.count) === count
    } finally {
      await sql.end()
    }
  })

const ordersPlaced = `select count(*) from runtime.events where type = 'order.placed'`

test('an answer comes when the order is on the standby; a crowd of orders shares the wait', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, () => place()))
  for (const answer of answers) expect(answer.status).toBe(201)
  await standbyHas(100, ordersPlaced)
})

test('with the standby out of reach what was begun is unknown, what comes is refused, and reads go on', async () => {
  const { json: earlier } = await place()
  servers.freeze()
  const key = crypto.randomUUID()
  const caught = await place({}, key)
  expect(caught.status).toBe(503)
  expect(caught.json).toMatchObject({ code: 'outcome_unknown', may_have_happened: true })
  const later = await place()
  expect(later.status).toBe(503)
  expect(later.json).toMatchObject({ code: 'standby_unreachable', may_have_happened: false })
  expect(later.headers.get('retry-after')).toBe('1')
  const put = await cell.call('PUT', '/v1/locations/north', { body: { name: 'North', cell: 'eu1' } })
  expect(put.json).toMatchObject({ code: 'standby_unreachable' })
  expect((await cell.call('GET', '/readyz')).json).toEqual({ status: 'unready', reasons: ['standby_unreachable'] })
  expect((await cell.call('GET', `/v1/orders/${earlier.id}`)).status).toBe(200)
  servers.thaw()
  await isReady()
  const again = await place({}, key)
  expect(again.status).toBe(201)
  expect(again.headers.get('idempotent-replayed')).toBe('true')
})

test('neither a replay, nor an event, nor a charge leaves before the standby has the order', async () => {
  const key = crypto.randomUUID()
  const { next_position: after } = (await cell.call('GET', '/v1/events?types=order.placed&limit=200')).json
  servers.freeze()
  const frozenAt = Date.now()
  const more = { payment: { provider: 'test', method: 'tok_ok' } }
  const [first, replay] = await Promise.all([place(more, key), place(more, key)])
  for (const answer of [first, replay]) expect(answer.json).toMatchObject({ code: 'outcome_unknown' })
  const events = await cell.call('GET', `/v1/events?after=${encodeURIComponent(after)}`)
  // What an earlier order told may have become visible since.
  expect(events.json.data.filter(({ time }: { time: string }) => Date.parse(time) >= frozenAt)).toEqual([])
  const [row] = await cell.database.query<{ count: number }>('select count(*)::int as count from test_provider.charges')
  expect(row!.count).toBe(0)
  servers.thaw()
  await isReady()
  const { json: order } = await place(more, key)
  await eventually(async () => (await cell.call('GET', `/v1/orders/${order.id}`)).json.status === 'confirmed', 15_000)
  const told = (await orderEvents(order.id)).json.data.map((event: { type: string }) => event.type)
  expect(told).toContain('order.placed')
})

test('what a route writes outside the engine waits too', async () => {
  const put = await cell.call('PUT', '/v1/locations/south', { body: { name: 'South', cell: 'eu1' } })
  expect(put.status).toBe(200)
  await standbyHas(1, `select count(*) from stock.locations where code = 'south'`)
})
