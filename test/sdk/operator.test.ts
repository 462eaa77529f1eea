// The client's calls for those who run a shop, against a whole cell: each does what it says.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Client, createClient, HoldfastError } from '../../sdk/src/client.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell } from '../support/http-cell.ts'
import { openReceiver, type Receiver } from '../support/webhook-receiver.ts'

let cell: HttpCell
let client: Client
let receiver: Receiver
beforeAll(async () => {
  cell = await openHttpCell()
  client = createClient({ url: cell.url, key: 'sk_dev' })
  receiver = await openReceiver()
  await client.stock.adjust([{ sku: 'A-1', delta: 100, reason: 'received' }])
})
afterAll(async () => {
  await cell.stop()
  await receiver.close()
})

const failureOf = (promise: Promise<unknown>): Promise<HoldfastError> =>
  promise.then(
    () => expect.fail('it was answered'),
    (error) => error,
  )
const buy = () =>
  client.orders.place(
    {
      currency: 'EUR',
      lines: [{ sku: 'A-1', quantity: 1, unit_price: { amount: 500, currency: 'EUR' } }],
      payment: { provider: 'test', method: 'tok_ok' },
    },
    { wait: 20 },
  )

test('an endpoint is made once, told of orders, changed, given another secret, tested and deleted', async () => {
  const replays: boolean[] = []
  const once = {
    idempotencyKey: 'endpoint-1',
    onAnswer: ({ replayed }: { replayed: boolean }) => replays.push(replayed),
  }
  const made = await client.webhookEndpoints.make({ url: `${receiver.url}/hook`, types: ['order.placed'] }, once)
  expect(made).toMatchObject({ enabled: true, secret: expect.stringMatching(/^whsec_/) })
  expect((await client.webhookEndpoints.make({ url: `${receiver.url}/hook`, types: ['order.placed'] }, once)).id).toBe(
    made.id,
  )
  expect(replays).toEqual([false, true])
  const order = await buy()
  await eventually(() => receiver.received.length === 1, 10_000)
  expect(receiver.received[0]!.event).toMatchObject({ type: 'order.placed', subject: order.id })

  const [delivery] = (await client.webhookDeliveries.list({ endpoint: made.id })).data
  await eventually(async () => (await client.webhookDeliveries.get(delivery!.id)).status === 'delivered')
  const whole = await client.webhookDeliveries.get(delivery!.id)
  expect(whole).toMatchObject({ id: receiver.received[0]!.id, attempts: [{ status: 200 }] })
  expect(whole.body).toBe(receiver.received[0]!.body)
  await client.webhookDeliveries.redeliver(delivery!.id)
  await eventually(() => receiver.received.length === 2, 10_000)
  expect(receiver.received[1]!.id).toBe(delivery!.id)

  expect(await client.webhookEndpoints.change(made.id, { types: ['order.*'] })).toMatchObject({ types: ['order.*'] })
  expect((await client.webhookEndpoints.rotateSecret(made.id)).secret).not.toBe(made.secret)
  expect((await client.webhookEndpoints.test(made.id)).type).toBe('webhook.test')
  await eventually(() => receiver.received.some(({ event }) => event.type === 'webhook.test'), 10_000)
  const { secret: _, ...shown } = made
  expect(await client.webhookEndpoints.get(made.id)).toEqual({ ...shown, types: ['order.*'] })
  expect((await client.webhookEndpoints.list()).data.map(({ id }) => id)).toEqual([made.id])
  await client.webhookEndpoints.delete(made.id)
  expect((await failureOf(client.webhookEndpoints.get(made.id))).code).toBe('not_found')
})

test('the ledger tells what an order has booked, and takes a fee by hand', async () => {
  const order = await buy()
  await eventually(async () => (await client.ledger.entries({ order: order.id })).data.length >= 2, 10_000)
  const booking = { kind: 'fee' as const, order_id: order.id, amount: { amount: 15, currency: 'EUR' }, reason: 'card' }
  expect(await client.ledger.book(booking)).toMatchObject({ kind: 'fee', amount: { amount: 15 } })
  await eventually(
    async () => (await client.ledger.entries({ order: order.id })).data.some(({ kind }) => kind === 'fee'),
    10_000,
  )
  const fees = (await client.ledger.balances({ currency: 'EUR' })).data.find(({ account }) => account === 'fees')
  expect(fees?.balance).toBe(15)
  const wrong = { ...booking, amount: { amount: 15, currency: 'USD' } }
  expect((await failureOf(client.ledger.book(wrong))).code).toBe('currency_mismatch')
})

test('settings are read, set under the version that was read, and remembered in versions', async () => {
  const { version } = await client.settings.get()
  expect(await client.settings.put({ capture: 'at_shipment' }, { ifMatch: `"${version}"` })).toMatchObject({
    capture: 'at_shipment',
    version: version + 1,
  })
  const late = await failureOf(client.settings.put({ capture: 'now' }, { ifMatch: `"${version}"` }))
  expect(late).toMatchObject({ status: 412, code: 'precondition_failed' })
  expect(await client.settings.put({})).toMatchObject({ capture: 'now', version: version + 2 })
  const versions = (await client.settings.history({ limit: 2 })).data.map((one) => one.version)
  expect(versions).toEqual([version + 2, version + 1])
})

test('dead letters are listed, read, tried again, or dropped with a reason', async () => {
  const [retried, dropped] = [randomUUID(), randomUUID()].map((id) => `operation:${id}`)
  await cell.database.transaction((session) =>
    session.run(
      `insert into payments.operations (shop_id, id, kind, provider, order_id, payment_id, amount, currency, method, capture,
         asked_at, due_at, state, tries, last_error, dead_at)
       select 1, id, 'capture', 'test', gen_random_uuid(), gen_random_uuid(), 500, 'EUR', '', 'now', clock_timestamp(),
         clock_timestamp(), 'dead', 4, 'no_answer', clock_timestamp() from unnest($1::uuid[]) id`,
      [`{${[retried, dropped].map((id) => id!.split(':')[1])}}`],
    ),
  )
  const found = await client.deadLetters.list({ kind: 'payment_operation' })
  expect(found.data.map(({ id }) => id).sort()).toEqual([retried, dropped].sort())
  expect(await client.deadLetters.get(dropped!)).toMatchObject({ id: dropped, reason: 'no_answer', tries: 4 })
  await client.deadLetters.drop(dropped!, 'paid in cash')
  expect((await client.deadLetters.dropped()).data).toMatchObject([{ id: dropped, drop_reason: 'paid in cash' }])
  expect((await failureOf(client.deadLetters.get(dropped!))).code).toBe('not_found')
  expect((await client.deadLetters.retry(retried!)).id).toBe(retried)
  await eventually(async () => (await client.deadLetters.list({ kind: 'payment_operation' })).data.length === 0)
})

test('a consumer is paused, resumed and rewound', async () => {
  const names = (await client.consumers.list()).data.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['ledger', 'payments']))
  expect(await client.consumers.pause('ledger')).toMatchObject({ name: 'ledger', paused: true })
  const start = (await client.consumers.rewind('ledger', { to: 'start' })).position
  expect((await client.consumers.list()).data.find(({ name }) => name === 'ledger')!.position).toBe(start)
  expect((await client.consumers.resume('ledger')).paused).toBe(false)
  await eventually(async () => (await client.consumers.list()).data.every(({ lag_events }) => lag_events === 0), 10_000)
  expect(await failureOf(client.consumers.pause('nobody'))).toBeInstanceOf(HoldfastError)
})

test('the topology is seen, and its next version put over the one that was seen', async () => {
  const { topology, data } = await client.cells.list()
  expect(data).toMatchObject([{ name: 'eu1', reachable: true, emptied: false }])
  const { version, zones, cells } = topology
  const moved = { zones, cells: cells.map((one) => ({ ...one, url: 'https://eu1.example.com' })) }
  expect(await client.cells.putTopology(moved, { ifMatch: `"${version}"` })).toMatchObject({ version: version + 1 })
  const late = await failureOf(client.cells.putTopology(moved, { ifMatch: `"${version}"` }))
  expect(late.code).toBe('precondition_failed')
})
