// The client against a real server: each of its calls does what it says, and its streams meet the server's.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Client, createClient, HoldfastError, type PlaceOrder } from '../../sdk/src/client.ts'
import { eventually } from '../support/eventually.ts'
import { makeDataFolder, type Running, startHoldfast } from '../support/holdfast.ts'

let folder: Awaited<ReturnType<typeof makeDataFolder>>
let server: Running
let client: Client

beforeAll(async () => {
  folder = await makeDataFolder()
  server = await startHoldfast(['--data', folder.data])
  client = createClient({ url: server.url, key: 'sk_dev' })
})
afterAll(async () => {
  server.interrupt()
  await server.ended
  await folder.remove()
})

const orderOf = (sku: string, quantity: number, more: Partial<PlaceOrder> = {}): PlaceOrder => ({
  currency: 'EUR',
  lines: [{ sku, quantity, unit_price: { amount: 500, currency: 'EUR' } }],
  ...more,
})
const receive = (sku: string, delta: number) => client.stock.adjust([{ sku, delta, reason: 'received' }])
const failureOf = (promise: Promise<unknown>): Promise<HoldfastError> =>
  promise.then(
    () => expect.fail('it was answered'),
    (error) => error,
  )

test('an order is placed, read, listed, cancelled in part and in whole, and its history tells', async () => {
  expect((await receive('O-1', 10)).data).toMatchObject([{ sku: 'O-1', on_hand: 10, available: 10 }])
  const placed = await client.orders.place(
    orderOf('O-1', 4, { reference: 'R-1', payment: { provider: 'none' }, customer: { external_id: 'c' } }),
  )
  expect(placed).toMatchObject({ status: 'confirmed', cell: 'eu1', amounts: { total: { amount: 2_000 } } })
  expect(client.cell()).toBe('eu1')
  expect(await client.orders.get(placed.id)).toEqual(placed)
  expect((await client.orders.list({ reference: 'R-1' })).data).toEqual([placed])
  const less = await client.orders.cancel(placed.id, { reason: 'buyer', lines: [{ sku: 'O-1', quantity: 1 }] })
  expect(less.lines[0]!.cancelled_quantity).toBe(1)
  expect(await failureOf(client.orders.cancel(placed.id, { reason: 'buyer' }, { ifMatch: '"1"' }))).toMatchObject({
    code: 'precondition_failed',
  })
  expect(await client.orders.cancel(placed.id, { reason: 'buyer' })).toMatchObject({
    status: 'cancelled',
    cancel_reason: 'buyer',
  })
  const history = await client.orders.events(placed.id)
  expect(history.data[0]).toMatchObject({ type: 'order.placed', subject: placed.id, subjectversion: 1 })
  expect(history.data.at(-2)).toMatchObject({ type: 'order.cancelled' })
  expect(history.data.at(-1)).toMatchObject({ type: 'payment.refunded' })
  expect((await client.stock.get('O-1')).available).toBe(10)
})

test('the same key is the same order, and says so; a refusal leaves nothing behind', async () => {
  await receive('K-1', 3)
  const replays: boolean[] = []
  const options = {
    idempotencyKey: 'cart-81',
    onAnswer: ({ replayed }: { replayed: boolean }) => replays.push(replayed),
  }
  const first = await client.orders.place(orderOf('K-1', 2), options)
  expect(await client.orders.place(orderOf('K-1', 2), options)).toEqual(first)
  expect(replays).toEqual([false, true])
  expect(await failureOf(client.orders.place(orderOf('K-1', 1), options))).toMatchObject({
    status: 422,
    code: 'idempotency_key_reused',
  })
  const refused = await failureOf(client.orders.place(orderOf('K-1', 2)))
  expect(refused).toBeInstanceOf(HoldfastError)
  expect(refused).toMatchObject({
    status: 409,
    code: 'insufficient_stock',
    errors: [{ pointer: '/lines/0', sku: 'K-1', requested: 2, available: 1 }],
  })
  expect(refused.requestId).toBeTruthy()
})

test('a hold keeps its units, is extended, becomes an order or is given back', async () => {
  await receive('H-1', 2)
  const hold = await client.holds.place({ lines: [{ sku: 'H-1', quantity: 2 }], ttl_seconds: 60 })
  expect(hold.status).toBe('active')
  expect(await failureOf(client.orders.place(orderOf('H-1', 1)))).toMatchObject({ code: 'insufficient_stock' })
  const extended = await client.holds.extend(hold.id, { ttl_seconds: 600 })
  expect(Date.parse(extended.expires_at)).toBeGreaterThan(Date.parse(hold.expires_at))
  await client.orders.place(orderOf('H-1', 1, { hold_id: hold.id }))
  expect(await client.holds.get(hold.id)).toMatchObject({ status: 'consumed' })
  const second = await client.holds.place({ lines: [{ sku: 'H-1', quantity: 1 }], ttl_seconds: 60 })
  await client.holds.release(second.id)
  expect(await client.holds.get(second.id)).toMatchObject({ status: 'released' })
})

test('locations and policies are set; several SKUs are read at once', async () => {
  expect(await client.locations.put('nord', { name: 'Nord', priority: 5, address: { country: 'DE' } })).toMatchObject({
    code: 'nord',
    cell: 'eu1',
  })
  expect((await client.locations.list()).data.map(({ code }) => code)).toContain('nord')
  await receive('P/1 ü', 1)
  expect(await client.stock.setPolicy('P/1 ü', { allowance: 2 })).toMatchObject({ sku: 'P/1 ü', allowance: 2 })
  const both = await client.stock.list(['P/1 ü', 'O-1'])
  expect(both.data.map(({ sku, available }) => [sku, available])).toEqual([
    ['P/1 ü', 3],
    ['O-1', 10],
  ])
})

test('bulk lines are answered in their order, refusals among them, and again with the same keys', async () => {
  const stocked = []
  for await (const { status, data, item } of client.stock.bulk([
    { sku: 'B-1', delta: 300, reason: 'received', idempotency_key: 'b-1' },
    { adjustments: [{ sku: 'B-2', delta: -1, reason: 'correction' }] },
  ]))
    stocked.push([item.idempotency_key.slice(0, 4), status, data?.[0]?.on_hand])
  expect(stocked).toEqual([
    ['b-1', 200, 300],
    ['eu1.', 409, undefined],
  ])

  async function* orders() {
    for (let n = 0; n < 400; n++) yield { ...orderOf('B-1', 1, { reference: `B-${n}` }), idempotency_key: `bulk-${n}` }
  }
  const run = async () => {
    const answers = []
    for await (const answer of client.orders.bulk(orders(), { batchLines: 64 })) answers.push(answer)
    return answers
  }
  const first = await run()
  expect(first.map(({ item }) => item.reference)).toEqual(Array.from({ length: 400 }, (_, n) => `B-${n}`))
  expect(first.filter(({ status }) => status === 201)).toHaveLength(300)
  expect(first.filter(({ problem }) => problem?.code === 'insufficient_stock')).toHaveLength(100)
  const second = await run()
  expect(second.map(({ status }) => status)).toEqual(first.map(({ status }) => status))
  expect(second.filter(({ replayed }) => replayed)).toHaveLength(300)
  expect(second.map(({ order }) => order?.id)).toEqual(first.map(({ order }) => order?.id))
})

test('events come as pages and as a stream, which goes on where an earlier one was left', async () => {
  let { next_position: after } = await client.events.page({ limit: 200 })
  for (
    let page = await client.events.page({ after, limit: 200 });
    page.data.length > 0;
    page = await client.events.page({ after, limit: 200 })
  )
    after = page.next_position
  await receive('E-1', 5)
  const placed: string[] = []
  const placeOne = async () => placed.push((await client.orders.place(orderOf('E-1', 1))).id)
  const seen: string[] = []
  await placeOne()
  await placeOne()
  for await (const { position, event } of client.events.stream({ after, types: 'order.placed' })) {
    seen.push(event.subject)
    after = position
    if (seen.length === 1) break
  }
  await placeOne()
  const stop = new AbortController()
  for await (const { event } of client.events.stream({ after, types: 'order.placed', signal: stop.signal })) {
    seen.push(event.subject)
    if (seen.length === 3) await placeOne()
    if (seen.length === 4) stop.abort()
  }
  expect(seen).toEqual(placed)
})

test('a storefront holds under its visitor, and reads back its order by the order’s own secret only', async () => {
  await receive('S-1', 5)
  const shop = createClient({ url: server.url, key: 'pk_dev' })
  const hold = await shop.holds.place({ lines: [{ sku: 'S-1', quantity: 1 }], ttl_seconds: 60 })
  expect(await failureOf(shop.orders.place(orderOf('S-1', 1, { hold_id: hold.id })))).toMatchObject({
    code: 'no_catalogue_price',
  })
  const order = await client.orders.place(orderOf('S-1', 1, { hold_id: hold.id }))
  expect((await shop.orders.get(order.id, { clientSecret: order.client_secret })).id).toBe(order.id)
  expect((await failureOf(shop.orders.get(order.id, { clientSecret: 'guess' }))).code).toBe('not_found')
  expect((await failureOf(shop.orders.list())).code).toBe('forbidden')
})

test('the audit answers', async () => {
  expect(await client.audit({ fresh: true })).toMatchObject({ consistent: true, differences: [] })
})

test('a parcel is picked from the list of work, packed and shipped, and its goods are exchanged', async () => {
  await receive('W-1', 3)
  const placed = await client.orders.place(orderOf('W-1', 2, { payment: { provider: 'none' } }))
  const listed = async () => (await client.fulfilment.list({ status: 'to_pick' })).data.map((work) => work.order_id)
  await eventually(async () => (await listed()).includes(placed.id))
  const given = await client.orders.pick(placed.id, { location: 'main' })
  expect(await client.shipments.cancel(given.id)).toMatchObject({ status: 'cancelled' })
  const parcel = await client.orders.pick(placed.id, { location: 'main' })
  expect(await client.shipments.pack(parcel.id)).toMatchObject({ status: 'packed' })
  const dispatch = { carrier: 'post', tracking_number: 'T' }
  expect(await client.shipments.ship(parcel.id, dispatch)).toMatchObject({ status: 'shipped', ...dispatch })
  const back = { reason: 'too small', lines: [{ sku: 'W-1', quantity: 1 }] }
  const made = await client.orders.exchange(placed.id, { return: back, order: orderOf('W-1', 1) })
  expect(made).toMatchObject({
    order: { status: 'pending', exchange_of: { order_id: placed.id } },
    return: { exchange_order_id: made.order.id },
  })
})
