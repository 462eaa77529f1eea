// API.md, Orders: placing, cancelling, reading back and listing, on a real server.
import { describe, expect, test } from 'vitest'
import type { Order } from '../../sdk/src/client.ts'
import { eur, lineOf, newKey, newSku, paidOrder, problemOf, stocked, useServer } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'

const server = useServer()

describe('an order', () => {
  test('without payment waits pending, its units reserved for 15 minutes', async () => {
    const sku = await stocked(server.sk, 10)
    const reply = await server.ask('POST /v1/orders', { body: { currency: 'EUR', lines: [lineOf(sku, 3, 250)] } })
    expect(reply.status).toBe(201)
    const order = reply.body as Order
    expect(order.id).toMatch(/^ord_eu1_[0-9a-hjkmnp-tv-z]{26}$/)
    expect(reply.headers.get('location')).toBe(`/v1/orders/${order.id}`)
    expect(reply.headers.get('etag')).toBe(`"${order.version}"`)
    expect(order).toMatchObject({
      reference: null,
      status: 'pending',
      cell: 'eu1',
      currency: 'EUR',
      lines: [{ sku, quantity: 3, unit_price: eur(250), amount: eur(750) }],
      amounts: {
        items: eur(750),
        discount: eur(0),
        shipping: eur(0),
        tax: eur(0),
        total: eur(750),
        tax_included: false,
      },
      payment: { status: 'none', provider: null },
      fulfilment: { status: 'unfulfilled' },
    })
    expect(Math.abs(Date.parse(order.expires_at!) - Date.now() - 15 * 60_000)).toBeLessThan(5_000)
    for (const time of [order.created_at, order.placed_at, order.updated_at])
      expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(5_000)
    expect(await server.sk.stock.get(sku)).toMatchObject({ reserved: 3, committed: 0, available: 7 })
    expect((await server.ask(`GET /v1/orders/${order.id}`)).body).toEqual(order)
  })

  test('that is paid elsewhere is confirmed at once and captured', async () => {
    const sku = await stocked(server.sk, 10)
    const order = await server.sk.orders.place(paidOrder(lineOf(sku, 3)))
    expect(order).toMatchObject({
      status: 'confirmed',
      payment: { status: 'captured', provider: 'none' },
      expires_at: null,
    })
    expect(await server.sk.stock.get(sku)).toMatchObject({ reserved: 0, committed: 3, available: 7 })
  })

  test('keeps everything it was given', async () => {
    const sku = await stocked(server.sk, 10)
    const given = {
      ...paidOrder(lineOf(sku)),
      customer: { email: 'a@example.com', external_id: '17850' },
      shipping_address: {
        name: 'Åsa Öberg',
        line1: 'Storgatan 1',
        line2: '',
        city: 'Umeå',
        postal_code: '903 26',
        region: 'AC',
        country: 'SE',
      },
      reference: 'INV-536365',
      note: 'Ring twice.\n"Bell" \\ 🔔',
      tags: ['gift', 'eu'],
      metadata: { campaign: 'spring', 'a.b/c': '漢字' },
    }
    const order = await server.sk.orders.place(given)
    const { lines: _, payment: __, ...kept } = given
    expect(order).toMatchObject(kept)
    expect(await server.sk.orders.get(order.id)).toEqual(order)
  })

  test('sums lines of one SKU before the check, and tells every line that cannot be served', async () => {
    const [a, b] = [await stocked(server.sk, 5), await stocked(server.sk, 100)]
    const problem = await problemOf(server.sk.orders.place(paidOrder(lineOf(a, 3), lineOf(b, 1), lineOf(a, 3))))
    expect(problem).toMatchObject({
      type: expect.any(String),
      title: expect.any(String),
      status: 409,
      code: 'insufficient_stock',
      errors: [
        { pointer: '/lines/0', sku: a, requested: 6, available: 5 },
        { pointer: '/lines/2', sku: a, requested: 6, available: 5 },
      ],
    })
    expect(await server.sk.stock.get(a)).toMatchObject({ reserved: 0, committed: 0 })
    expect(await server.sk.stock.get(b)).toMatchObject({ reserved: 0, committed: 0 })
    const order = await server.sk.orders.place(paidOrder(lineOf(a, 3, 100), lineOf(a, 2, 90)))
    expect(order.amounts.total).toEqual(eur(480))
  })

  test('may be free, and may cost up to 10^12', async () => {
    const sku = await stocked(server.sk, 10)
    const most = 1_000_000_000_000
    expect((await server.sk.orders.place(paidOrder(lineOf(sku, 1, 0)))).amounts.total).toEqual(eur(0))
    expect((await server.sk.orders.place(paidOrder(lineOf(sku, 1, most)))).amounts.total).toEqual(eur(most))
    expect(await problemOf(server.sk.orders.place(paidOrder(lineOf(sku, 2, most))))).toMatchObject({
      status: 422,
      code: 'amount_too_large',
    })
    expect(await problemOf(server.sk.orders.place(paidOrder(lineOf(sku, 1, most), lineOf(sku, 1, 1))))).toMatchObject({
      status: 422,
      code: 'amount_too_large',
    })
  })

  test('has up to 2,000 lines, each of up to 1,000,000 units', async () => {
    const sku = await stocked(server.sk, 5_000_000)
    const lines = (count: number) => Array.from({ length: count }, () => lineOf(sku, 1, 1))
    const order = await server.sk.orders.place(paidOrder(...lines(2_000)))
    expect(order.lines).toHaveLength(2_000)
    expect(await problemOf(server.sk.orders.place(paidOrder(...lines(2_001))))).toMatchObject({
      status: 400,
      errors: [{ pointer: '/lines', code: 'too_many' }],
    })
    expect(await problemOf(server.sk.orders.place(paidOrder()))).toMatchObject({ status: 400 })
    expect(await server.sk.orders.place(paidOrder(lineOf(sku, 1_000_000, 1)))).toMatchObject({ status: 'confirmed' })
    expect(await problemOf(server.sk.orders.place(paidOrder(lineOf(sku, 1_000_001, 1))))).toMatchObject({ status: 400 })
    expect(await problemOf(server.sk.orders.place(paidOrder(lineOf(sku, 0, 1))))).toMatchObject({ status: 400 })
  })

  test.each([
    ['an unknown SKU', { lines: [lineOf('no-such-sku')] }, 'sku_not_found', '/lines/0'],
    ['an unknown currency', { currency: 'EUX' }, 'currency_unknown', '/currency'],
    ['another currency in a line', { currency: 'GBP' }, 'currency_mismatch', '/lines/0/unit_price'],
    ['an unknown country', { shipping_address: { country: 'XX' } }, 'country_unknown', '/shipping_address/country'],
    ['no price', { lines: [{ sku: 'S', quantity: 1 }] }, 'price_required', '/lines/0'],
    ['an unknown provider', { payment: { provider: 'x' } }, 'provider_unknown', '/payment/provider'],
    ['an unknown method', { payment: { provider: 'test', method: 'x' } }, 'payment_method_unknown', '/payment/method'],
    ['a method of nobody', { payment: { provider: 'none', method: 'x' } }, 'payment_method_unknown', '/payment/method'],
    ['a customer of ours', { customer: { id: 'cus_x' } }, 'not_available', '/customer/id'],
    ['a time to come', { placed_at: '2999-01-01T00:00:00Z' }, 'time_in_future', '/placed_at'],
  ])('with %s is refused with 422', async (_, change, code, pointer) => {
    const sku = await stocked(server.sk, 10)
    const { payment: __, ...order } = paidOrder(lineOf(sku))
    const reply = await server.ask('POST /v1/orders', { body: { ...order, ...change } })
    expect(reply).toMatchObject({ status: 422, body: { status: 422, code, errors: [{ pointer, code }] } })
    expect(await server.sk.stock.get(sku)).toMatchObject({ reserved: 0, committed: 0 })
  })

  test('has a reference that no other order of the shop has', async () => {
    const sku = await stocked(server.sk, 10)
    const order = { ...paidOrder(lineOf(sku)), reference: `ref-${sku}` }
    await server.sk.orders.place(order)
    expect(await problemOf(server.sk.orders.place(order))).toMatchObject({ status: 409, code: 'reference_taken' })
    expect(await server.sk.stock.get(sku)).toMatchObject({ committed: 1 })
    const [one, other] = await Promise.allSettled(
      [1, 2].map((quantity) => server.sk.orders.place({ ...paidOrder(lineOf(sku, quantity)), reference: 'at-once' })),
    )
    expect([one!.status, other!.status].toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  test('of an import has its own time, and amounts where a unit price has fractions', async () => {
    const sku = await stocked(server.sk, 100)
    const placed_at = '2010-12-01T08:26:00Z'
    const order = await server.sk.orders.place({
      currency: 'GBP',
      lines: [{ sku, quantity: 3, amount: { amount: 100, currency: 'GBP' } }, lineGbp(sku, 2, 255)],
      payment: { provider: 'none' },
      placed_at,
    })
    expect(order).toMatchObject({ lines: [{ unit_price: null, amount: gbp(100) }, { amount: gbp(510) }] })
    expect(order.amounts.total).toEqual(gbp(610))
    expect(Date.parse(order.placed_at)).toBe(Date.parse(placed_at))
    expect(Math.abs(Date.parse(order.created_at) - Date.now())).toBeLessThan(5_000)
    expect(
      await problemOf(
        server.sk.orders.place({ currency: 'GBP', lines: [{ ...lineGbp(sku, 2, 255), amount: gbp(509) }] }),
      ),
    ).toMatchObject({ status: 422, code: 'amount_mismatch', errors: [{ pointer: '/lines/0/amount' }] })
  })
})

const gbp = (amount: number) => ({ amount, currency: 'GBP' })
const lineGbp = (sku: string, quantity: number, price: number) => ({ sku, quantity, unit_price: gbp(price) })

describe('cancelling', () => {
  test.each([
    ['pending', false, 'none'],
    ['confirmed', true, 'refunded'],
  ])('a %s order gives all of its units back', async (_, paid, paymentStatus) => {
    const sku = await stocked(server.sk, 10)
    const { payment, ...unpaid } = paidOrder(lineOf(sku, 3), lineOf(sku, 2))
    const { id } = await server.sk.orders.place(paid ? { ...unpaid, payment } : unpaid)
    const cancelled = await server.sk.orders.cancel(id, { reason: 'buyer' })
    expect(cancelled).toMatchObject({
      id,
      status: 'cancelled',
      cancel_reason: 'buyer',
      payment: { status: paymentStatus },
      expires_at: null,
    })
    expect(await server.sk.stock.get(sku)).toMatchObject({ reserved: 0, committed: 0, available: 10 })
    expect(await problemOf(server.sk.orders.cancel(id, { reason: 'buyer' }))).toMatchObject({
      status: 409,
      code: 'order_cancelled',
    })
  })

  test('part of an order takes units off its lines, until nothing is left', async () => {
    const [a, b] = [await stocked(server.sk, 10), await stocked(server.sk, 10)]
    const { id } = await server.sk.orders.place(paidOrder(lineOf(a, 2), lineOf(b, 4), lineOf(a, 3)))
    const cancel = (sku: string, quantity: number) =>
      server.sk.orders.cancel(id, { reason: 'merchant', lines: [{ sku, quantity }] })
    expect(await cancel(a, 4)).toMatchObject({
      status: 'confirmed',
      payment: { status: 'partially_refunded' },
      lines: [{ cancelled_quantity: 1 }, { cancelled_quantity: 0 }, { cancelled_quantity: 3 }],
    })
    expect(await server.sk.stock.get(a)).toMatchObject({ committed: 1, available: 9 })
    expect(await problemOf(cancel(a, 2))).toMatchObject({ status: 422, code: 'quantity_too_large' })
    expect(await problemOf(cancel('no-such-line', 1))).toMatchObject({ status: 422, code: 'line_not_found' })
    await cancel(b, 4)
    expect(await cancel(a, 1)).toMatchObject({ status: 'cancelled', cancel_reason: 'merchant' })
    expect(await server.sk.stock.get(a)).toMatchObject({ committed: 0, available: 10 })
    expect(await server.sk.stock.get(b)).toMatchObject({ committed: 0, available: 10 })
  })

  test('happens once under one key, and only to the version that If-Match names', async () => {
    const sku = await stocked(server.sk, 10)
    const order = await server.sk.orders.place(paidOrder(lineOf(sku, 5)))
    const cancel = (idempotencyKey: string, version: number) =>
      server.ask(`POST /v1/orders/${order.id}/cancel`, {
        idempotencyKey,
        headers: { 'if-match': `"${version}"` },
        body: { reason: 'buyer', lines: [{ sku, quantity: 1 }] },
      })
    const key = newKey()
    const first = await cancel(key, order.version)
    expect(first).toMatchObject({ status: 200, body: { version: order.version + 2 } })
    expect(first.headers.get('etag')).toBe(`"${order.version + 2}"`)
    const again = await cancel(key, order.version)
    expect(again).toMatchObject({ status: 200, body: { version: order.version + 2 } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await cancel(newKey(), order.version)).toMatchObject({ status: 412, body: { code: 'precondition_failed' } })
    expect(await server.sk.stock.get(sku)).toMatchObject({ committed: 4 })
  })

  test('what does not exist, or for no reason that there is, is refused', async () => {
    const nobody = `ord_eu1_${'0'.repeat(26)}`
    expect(await problemOf(server.sk.orders.cancel(nobody, { reason: 'buyer' }))).toMatchObject({ status: 404 })
    const body = { reason: 'unpaid' } // which only time may give
    expect(await server.ask(`POST /v1/orders/${nobody}/cancel`, { body })).toMatchObject({ status: 400 })
  })
})

describe('a repeated key', () => {
  test('answers the same order, as it is now', async () => {
    const sku = await stocked(server.sk, 10)
    const idempotencyKey = newKey()
    const body = paidOrder(lineOf(sku, 2))
    const first = await server.ask('POST /v1/orders', { idempotencyKey, body })
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    const { id } = first.body as Order
    await server.sk.orders.cancel(id, { reason: 'fraud' })
    const again = await server.ask('POST /v1/orders', { idempotencyKey, body })
    expect(again).toMatchObject({ status: 201, body: { id, status: 'cancelled', cancel_reason: 'fraud' } })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.headers.get('location')).toBe(`/v1/orders/${id}`)
    expect(await server.sk.stock.get(sku)).toMatchObject({ committed: 0 })
  })

  test('compares the canonical body, so that spaces and the order of members are nothing', async () => {
    const sku = await stocked(server.sk, 10)
    const idempotencyKey = newKey()
    const send = (body: string) => server.ask('POST /v1/orders', { idempotencyKey, body })
    const first = await send(
      `{"currency":"EUR","lines":[{"sku":"${sku}","quantity":1,"unit_price":{"amount":1,"currency":"EUR"}}]}`,
    )
    const again = await send(
      ` {"lines" : [ {"unit_price":{"currency":"EUR","amount":1.0}, "quantity":1e0, "sku":"${sku}"} ],\n "currency":"EUR"}`,
    )
    expect(again).toMatchObject({ status: 201, body: { id: first.body.id } })
  })

  test('with another body, or on another path, is 422', async () => {
    const sku = await stocked(server.sk, 10)
    const idempotencyKey = newKey()
    await server.ask('POST /v1/orders', { idempotencyKey, body: paidOrder(lineOf(sku)) })
    const reused = { status: 422, body: { code: 'idempotency_key_reused' } }
    expect(await server.ask('POST /v1/orders', { idempotencyKey, body: paidOrder(lineOf(sku, 2)) })).toMatchObject(
      reused,
    )
    const hold = { lines: [{ sku, quantity: 1 }], ttl_seconds: 1 }
    expect(await server.ask('POST /v1/holds', { idempotencyKey, body: hold })).toMatchObject(reused)
    expect(await server.sk.stock.get(sku)).toMatchObject({ committed: 1, reserved: 0 })
  })

  test('of a refusal is free again: it succeeds after a restock', async () => {
    const sku = await stocked(server.sk, 1)
    const send = { idempotencyKey: newKey(), body: paidOrder(lineOf(sku, 2)) }
    expect(await server.ask('POST /v1/orders', send)).toMatchObject({ status: 409 })
    await stocked(server.sk, 1, sku)
    const accepted = await server.ask('POST /v1/orders', send)
    expect(accepted.status).toBe(201)
    expect(accepted.headers.get('idempotent-replayed')).toBeNull()
  })

  test('twenty times at once is one order, which all are told', async () => {
    const sku = await stocked(server.sk, 30)
    const send = { idempotencyKey: newKey(), body: paidOrder(lineOf(sku)) }
    const replies = await Promise.all(Array.from({ length: 20 }, () => server.ask('POST /v1/orders', send)))
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([201]))
    expect(new Set(replies.map(({ body }) => body.id)).size).toBe(1)
    expect(replies.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(19)
    expect(await server.sk.stock.get(sku)).toMatchObject({ committed: 1 })
  })
})

describe('lists', () => {
  test('go newest first, page by page, each order once, while new ones come in', async () => {
    const sku = await stocked(server.sk, 100)
    const placed: string[] = []
    const place = async () =>
      placed.unshift((await server.sk.orders.place({ ...paidOrder(lineOf(sku)), customer: { external_id: sku } })).id)
    for (let n = 0; n < 7; n++) await place()
    const expected = [...placed]
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await server.sk.orders.list({ customer: sku, limit: 3, cursor })
      expect(page.data.length).toBeLessThanOrEqual(3)
      seen.push(...page.data.map(({ id }) => id))
      cursor = page.next_cursor ?? undefined
      await place()
    } while (cursor !== undefined)
    expect(seen).toEqual(expected)
  })

  test('find by status, customer, e-mail, reference and time', async () => {
    const sku = await stocked(server.sk, 100)
    const buyer = { external_id: `c-${sku}`, email: `${sku}@Example.com` }
    const place = (more: object) => server.sk.orders.place({ ...paidOrder(lineOf(sku)), customer: buyer, ...more })
    const laterThan = ({ created_at }: Order) => eventually(() => Date.now() > Date.parse(created_at))
    const first = await place({ reference: `r-${sku}` })
    await laterThan(first)
    const pending = await server.sk.orders.place({ currency: 'EUR', lines: [lineOf(sku)], customer: buyer })
    await laterThan(pending)
    const cancelled = await place({})
    await server.sk.orders.cancel(cancelled.id, { reason: 'buyer' })
    const ids = async (query: Parameters<typeof server.sk.orders.list>[0]) =>
      (await server.sk.orders.list(query)).data.map(({ id }) => id)
    const customer = buyer.external_id
    expect(await ids({ customer })).toEqual([cancelled.id, pending.id, first.id])
    expect(await ids({ email: `${sku}@example.COM` })).toEqual([cancelled.id, pending.id, first.id])
    expect(await ids({ reference: `r-${sku}` })).toEqual([first.id])
    expect(await ids({ customer, status: 'pending' })).toEqual([pending.id])
    expect(await ids({ customer, status: 'confirmed' })).toEqual([first.id])
    expect(await ids({ customer, status: 'cancelled' })).toEqual([cancelled.id])
    expect(await ids({ customer, created_after: pending.created_at })).not.toContain(pending.id)
    expect(await ids({ customer, created_after: pending.created_at })).toContain(cancelled.id)
    expect(await ids({ customer, created_before: pending.created_at })).toEqual([first.id])
    expect(await ids({ customer, email: 'someone@else.com' })).toEqual([])
    expect(await ids({ reference: 'none' })).toEqual([])
  })

  test.each([
    ['limit=0', 'invalid_parameter'],
    ['limit=201', 'invalid_parameter'],
    ['limit=ten', 'invalid_parameter'],
    ['cursor=nonsense', 'cursor_invalid'],
    ['status=lost', 'invalid_parameter'],
    ['created_after=yesterday', 'invalid_parameter'],
    ['colour=red', 'unknown_field'],
  ])('refuse ?%s with 400', async (query, code) => {
    expect(await server.ask(`GET /v1/orders?${query}`)).toMatchObject({ status: 400, body: { code } })
  })

  test('have 50 on a page when nothing else is asked for', async () => {
    const sku = await stocked(server.sk, 100)
    const customer = { external_id: newSku() }
    await Promise.all(Array.from({ length: 51 }, () => server.sk.orders.place({ ...paidOrder(lineOf(sku)), customer })))
    const page = await server.sk.orders.list({ customer: customer.external_id })
    expect(page.data).toHaveLength(50)
    expect(page.next_cursor).toEqual(expect.any(String))
    const rest = await server.sk.orders.list({ customer: customer.external_id, limit: 1, cursor: page.next_cursor! })
    expect(rest).toMatchObject({ data: [expect.anything()], next_cursor: null })
  })
})

test('the history of an order tells what happened to it, oldest first', async () => {
  const sku = await stocked(server.sk, 10)
  const { id } = await server.sk.orders.place(paidOrder(lineOf(sku, 3)))
  await server.sk.orders.cancel(id, { reason: 'buyer', lines: [{ sku, quantity: 1 }] })
  await server.sk.orders.cancel(id, { reason: 'fraud' })
  const { data, next_cursor } = await server.sk.orders.events(id)
  expect(data.map(({ type }) => type)).toEqual([
    'order.placed',
    'order.confirmed',
    'order.lines_cancelled',
    'payment.refunded',
    'order.cancelled',
    'payment.refunded',
  ])
  expect(data.map(({ subject, subjectversion }) => [subject, subjectversion])).toEqual(
    [1, 2, 3, 4, 5, 6].map((version) => [id, version]),
  )
  expect(next_cursor).toBeNull()
  const page = await server.ask(`GET /v1/orders/${id}/events?limit=3`)
  expect(page.body.data).toHaveLength(3)
  const rest = await server.ask(`GET /v1/orders/${id}/events?limit=3&cursor=${page.body.next_cursor}`)
  expect(rest.body.data.map(({ type }: { type: string }) => type)).toEqual([
    'payment.refunded',
    'order.cancelled',
    'payment.refunded',
  ])
  expect(rest.body.next_cursor).toBeNull()
  expect((await server.ask(`GET /v1/orders/ord_eu1_${'0'.repeat(26)}/events`)).status).toBe(404)
})
