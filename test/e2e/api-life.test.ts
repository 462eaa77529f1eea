// The life of an order as API.md fixes it, through the SDK on a real server: paid in one request or at the second try, shipped
// in parts, sent back, refunded, and two at once.
import { describe, expect, test } from 'vitest'
import { createClient, type Order } from '../../sdk/src/client.ts'
import { eur, lineOf, newKey, paidOrder, problemOf, stocked, useServer } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'

const server = useServer()
const parcel = { carrier: 'post', tracking_number: 'T-1' }
const card = (method: string) => ({ provider: 'test', method })

/** Everything that the log tells of the order, by type. */
const historyOf = async (id: string) => (await server.sk.orders.events(id)).data.map(({ type }) => type)
const chargesOf = async (id: string) => (await server.ask(`GET /v1/test-provider/charges?order=${id}`)).body.data

async function cardOrder(method: string, units = 1): Promise<Order> {
  const sku = await stocked(server.sk, units)
  return server.sk.orders.place({ currency: 'EUR', lines: [lineOf(sku, units)], payment: card(method) }, { wait: 10 })
}

describe('paid through a provider', () => {
  test('in one request: placed, authorized, captured, confirmed', async () => {
    const applied: (string | null)[] = []
    const sku = await stocked(server.sk, 2)
    const order = await server.sk.orders.place(
      { currency: 'EUR', lines: [lineOf(sku, 2)], payment: card('tok_ok') },
      { wait: 10, onAnswer: ({ headers }) => void applied.push(headers.get('preference-applied')) },
    )
    expect(applied).toEqual(['wait=10'])
    expect(order).toMatchObject({ status: 'confirmed', payment: { status: 'captured', provider: 'test' } })
    expect(await historyOf(order.id)).toEqual([
      'order.placed',
      'payment.requested',
      'payment.authorized',
      'payment.captured',
      'order.confirmed',
    ])
    expect(await chargesOf(order.id)).toMatchObject([
      { order_id: order.id, amount: 1000, captured: 1000, refunded: 0, currency: 'EUR', status: 'captured' },
    ])
    expect(await server.sk.stock.get(sku)).toMatchObject({ reserved: 0, committed: 2 })
  })

  test('declined it stays pending and says why; a second payment confirms it, and charges once', async () => {
    const order = await cardOrder('tok_declined')
    expect(order).toMatchObject({
      status: 'pending',
      payment: { status: 'failed', error: { code: 'card_declined' } },
      expires_at: expect.any(String),
    })
    const payment = await server.sk.orders.pay(order.id, card('tok_ok'), { wait: 10 })
    expect(payment).toMatchObject({ order_id: order.id, status: 'captured', captured_amount: eur(500) })
    expect(await server.sk.orders.get(order.id)).toMatchObject({ status: 'confirmed', expires_at: null })
    expect((await server.sk.orders.payments(order.id)).data.map(({ status }) => status)).toEqual(['captured', 'failed'])
    expect(await problemOf(server.sk.orders.pay(order.id, card('tok_ok')))).toMatchObject({
      status: 409,
      code: 'order_paid',
    })
    const captured = (await chargesOf(order.id)).map((charge: { captured: number }) => charge.captured)
    expect(captured.toSorted()).toEqual([0, 500])
  })

  test('two attempts at once: one begins, the other is told to wait', async () => {
    const order = await cardOrder('tok_declined')
    const tries = await Promise.allSettled(
      Array.from({ length: 5 }, () => server.sk.orders.pay(order.id, card('tok_slow'))),
    )
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const one of tries)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ status: 409, code: 'payment_in_progress' })
    expect((await server.sk.orders.payments(order.id)).data).toHaveLength(2)
  })

  test('by a storefront that knows the secret', async () => {
    const sku = await stocked(server.sk, 1)
    const order = await server.sk.orders.place({ currency: 'EUR', lines: [lineOf(sku)] })
    const storefront = createClient({ url: server.url, key: 'pk_dev' })
    const own = { clientSecret: order.client_secret }
    expect(await problemOf(storefront.orders.pay(order.id, card('tok_ok')))).toMatchObject({ code: 'forbidden' })
    expect(await storefront.orders.pay(order.id, card('tok_ok'), { ...own, wait: 10 })).toMatchObject({
      status: 'captured',
    })
    expect(await storefront.orders.get(order.id, own)).toMatchObject({ status: 'confirmed' })
    expect((await storefront.orders.payments(order.id, {}, own)).data).toHaveLength(1)
    expect(await problemOf(storefront.orders.refund(order.id, { reason: 'r' }))).toMatchObject({ code: 'forbidden' })
  })

  test('cancelled, the money goes back through it', async () => {
    const order = await cardOrder('tok_ok', 3)
    await server.sk.orders.cancel(order.id, { reason: 'buyer', lines: [{ sku: order.lines[0]!.sku, quantity: 1 }] })
    await server.sk.orders.cancel(order.id, { reason: 'buyer' })
    await eventually(async () => (await server.sk.orders.get(order.id)).payment.status === 'refunded')
    expect(await chargesOf(order.id)).toMatchObject([{ captured: 1500, refunded: 1500, status: 'refunded' }])
    expect((await server.sk.orders.refunds(order.id)).data.map(({ amount }) => amount)).toEqual([eur(1000), eur(500)])
  })
})

describe('from the shelf to the buyer and back', () => {
  test('half is shipped, then the rest: completed; a return refunds what came back', async () => {
    const order = await cardOrder('tok_ok', 4)
    const [{ sku }] = order.lines as [Order['lines'][number]]
    const half = await server.sk.orders.ship(order.id, { ...parcel, lines: [{ sku, quantity: 2 }] })
    expect(await server.sk.shipments.get(half.id)).toEqual(half)
    expect(await server.sk.orders.get(order.id)).toMatchObject({
      status: 'confirmed',
      fulfilment: { status: 'partially_fulfilled' },
    })
    const rest = await server.sk.orders.ship(order.id, parcel)
    expect(await server.sk.orders.get(order.id)).toMatchObject({
      status: 'completed',
      fulfilment: { status: 'fulfilled' },
      shipments: [half, rest],
    })
    expect(await server.sk.shipments.deliver(rest.id)).toMatchObject({ status: 'delivered' })
    const asked = await server.sk.orders.return(order.id, { reason: 'too small', lines: [{ sku, quantity: 3 }] })
    const received = await server.sk.returns.receive(asked.id, {
      lines: [
        { sku, quantity: 2, resellable: true },
        { sku, quantity: 1, resellable: false },
      ],
    })
    expect(received).toMatchObject({ id: asked.id, status: 'received' })
    expect(await server.sk.returns.get(asked.id)).toEqual(received)
    expect(await server.sk.stock.get(sku)).toMatchObject({ on_hand: 2, available: 2, committed: 0 })
    await eventually(async () => (await server.sk.orders.get(order.id)).payment.status === 'partially_refunded')
    expect(await chargesOf(order.id)).toMatchObject([{ captured: 2000, refunded: 1500 }])
    expect((await historyOf(order.id)).filter((type) => /^(shipment|return|order\.completed)/.test(type))).toEqual([
      'shipment.created',
      'shipment.created',
      'order.completed',
      'shipment.delivered',
      'return.requested',
      'return.received',
    ])
  })

  test('a parcel and a cancellation at once: exactly one wins, and the units agree', async () => {
    for (let round = 0; round < 10; round++) {
      const sku = await stocked(server.sk, 1)
      const { id } = await server.sk.orders.place(paidOrder(lineOf(sku)))
      const [ship, cancel] = await Promise.allSettled([
        server.sk.orders.ship(id, parcel),
        server.sk.orders.cancel(id, { reason: 'buyer' }),
      ])
      expect([ship.status, cancel.status].toSorted()).toEqual(['fulfilled', 'rejected'])
      const lost = ship.status === 'rejected' ? ship : (cancel as PromiseRejectedResult)
      expect(lost.reason).toMatchObject({
        status: 409,
        code: ship.status === 'rejected' ? 'order_cancelled' : 'order_shipped',
      })
      const isShipped = ship.status === 'fulfilled'
      expect((await server.sk.orders.get(id)).status).toBe(isShipped ? 'completed' : 'cancelled')
      expect(await server.sk.stock.get(sku)).toMatchObject({ on_hand: isShipped ? 0 : 1, committed: 0 })
    }
  })

  test('a step sent again with its key is done once', async () => {
    const sku = await stocked(server.sk, 3)
    const { id } = await server.sk.orders.place(paidOrder(lineOf(sku, 3)))
    const again = async <T>(step: (options: object) => Promise<T>): Promise<void> => {
      const idempotencyKey = newKey()
      const seen: boolean[] = []
      const options = { idempotencyKey, onAnswer: (info: { replayed: boolean }) => void seen.push(info.replayed) }
      const first = await step(options)
      expect(await step(options)).toEqual(first)
      expect(seen).toEqual([false, true])
    }
    await again((options) => server.sk.orders.ship(id, { ...parcel, lines: [{ sku, quantity: 1 }] }, options))
    await again((options) => server.sk.orders.refund(id, { amount: eur(100), reason: 'late' }, options))
    await again((options) => server.sk.orders.return(id, { reason: 'r', lines: [{ sku, quantity: 1 }] }, options))
    const order = await server.sk.orders.get(id)
    expect([order.shipments, order.refunds, order.returns].map((parts) => parts.length)).toEqual([1, 1, 1])
    expect(await server.sk.stock.get(sku)).toMatchObject({ on_hand: 2, committed: 2 })
  })
})

test('what is said about an order is changed by whoever has seen it last', async () => {
  const sku = await stocked(server.sk, 1)
  const order = await server.sk.orders.place(paidOrder(lineOf(sku)))
  const ifMatch = `"${order.version}"`
  const edited = await server.sk.orders.patch(order.id, { note: 'ring', tags: ['b2b'] }, { ifMatch })
  expect(edited).toMatchObject({ note: 'ring', tags: ['b2b'], version: order.version + 1 })
  expect(await problemOf(server.sk.orders.patch(order.id, { note: 'late' }, { ifMatch }))).toMatchObject({
    status: 412,
    code: 'precondition_failed',
  })
  expect(await server.sk.orders.patch(order.id, { note: null })).toMatchObject({ note: null, tags: ['b2b'] })
})

test('the audit agrees with all of it', async () => {
  expect(await server.sk.audit({ fresh: true })).toMatchObject({ consistent: true })
})
