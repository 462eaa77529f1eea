// API.md, Holds: their whole life on a real server and its real clock.
import { describe, expect, test } from 'vitest'
import { lineOf, newKey, paidOrder, problemOf, stocked, useServer } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'

const server = useServer()

const holdOf = (sku: string, quantity: number, ttl_seconds = 600) =>
  server.sk.holds.place({ lines: [{ sku, quantity }], ttl_seconds })

describe('a hold', () => {
  test('reserves its units, and is found where Location says', async () => {
    const sku = await stocked(server.sk, 10)
    const before = Date.now()
    const reply = await server.ask('POST /v1/holds', { body: { lines: [{ sku, quantity: 4 }], ttl_seconds: 60 } })
    expect(reply.status).toBe(201)
    const hold = reply.body
    expect(hold).toMatchObject({ status: 'active', lines: [{ sku, quantity: 4 }] })
    expect(hold.id).toMatch(/^hld_eu1_[0-9a-hjkmnp-tv-z]{26}$/)
    expect(reply.headers.get('location')).toBe(`/v1/holds/${hold.id}`)
    expect(Math.abs(Date.parse(hold.expires_at) - before - 60_000)).toBeLessThan(5_000)
    expect((await server.ask(`GET ${reply.headers.get('location')}`)).body).toEqual(hold)
    expect(await server.sk.stock.get(sku)).toMatchObject({ on_hand: 10, reserved: 4, available: 6 })
  })

  test('takes all of its lines or none, and lines of one SKU together', async () => {
    const [a, b] = [await stocked(server.sk, 10), await stocked(server.sk, 10)]
    const place = (lines: { sku: string; quantity: number }[]) => server.sk.holds.place({ lines, ttl_seconds: 60 })
    const problem = await problemOf(
      place([
        { sku: a, quantity: 1 },
        { sku: b, quantity: 6 },
        { sku: b, quantity: 5 },
      ]),
    )
    expect(problem).toMatchObject({
      status: 409,
      code: 'insufficient_stock',
      errors: [
        { pointer: '/lines/1', sku: b, requested: 11, available: 10 },
        { pointer: '/lines/2', sku: b, requested: 11, available: 10 },
      ],
    })
    expect(await server.sk.stock.get(a)).toMatchObject({ reserved: 0 })
    expect(await server.sk.stock.get(b)).toMatchObject({ reserved: 0 })
    expect(await problemOf(place([{ sku: 'no-such-sku', quantity: 1 }]))).toMatchObject({
      status: 422,
      code: 'sku_not_found',
      errors: [{ pointer: '/lines/0', sku: 'no-such-sku' }],
    })
  })

  test.each([0, 604_801, 1.5, '600', true, null])('lives 1 to 604,800 whole seconds: not %j', async (ttl_seconds) => {
    const body = { lines: [{ sku: 'any', quantity: 1 }], ttl_seconds }
    expect(await server.ask('POST /v1/holds', { body })).toMatchObject({
      status: 400,
      body: { code: 'invalid_body', errors: [{ pointer: '/ttl_seconds' }] },
    })
  })

  test('is extended from now', async () => {
    const sku = await stocked(server.sk, 1)
    const { id } = await holdOf(sku, 1, 604_800)
    const extended = await server.sk.holds.extend(id, { ttl_seconds: 30 })
    expect(extended).toMatchObject({ id, status: 'active' })
    expect(Math.abs(Date.parse(extended.expires_at) - Date.now() - 30_000)).toBeLessThan(5_000)
    expect((await server.sk.holds.get(id)).expires_at).toBe(extended.expires_at)
  })

  test('gives its units back when it is released, once however often', async () => {
    const sku = await stocked(server.sk, 5)
    const { id } = await holdOf(sku, 5)
    expect((await server.ask(`DELETE /v1/holds/${id}`)).status).toBe(204)
    expect((await server.ask(`DELETE /v1/holds/${id}`)).status).toBe(204)
    expect(await server.sk.holds.get(id)).toMatchObject({ status: 'released' })
    expect(await server.sk.stock.get(sku)).toMatchObject({ reserved: 0, available: 5 })
    expect(await problemOf(server.sk.holds.extend(id, { ttl_seconds: 10 }))).toMatchObject({ code: 'hold_released' })
  })

  test('is one hold under one key', async () => {
    const sku = await stocked(server.sk, 5)
    const body = { lines: [{ sku, quantity: 2 }], ttl_seconds: 60 }
    const idempotencyKey = newKey()
    const [first, second] = [
      await server.ask('POST /v1/holds', { idempotencyKey, body }),
      await server.ask('POST /v1/holds', { idempotencyKey, body }),
    ]
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.body.id).toBe(first.body.id)
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    expect(second.headers.get('location')).toBe(first.headers.get('location'))
    expect(await server.sk.stock.get(sku)).toMatchObject({ reserved: 2 })
  })

  test('that does not exist is 404, whatever its name looks like', async () => {
    for (const id of ['x', 'hld_eu1_0', 'hld_us1_01k3zq8h4tf0vb6m5n7p9r2s4w', 'ord_eu1_01k3zq8h4tf0vb6m5n7p9r2s4w']) {
      expect((await server.ask(`GET /v1/holds/${id}`)).body, id).toMatchObject({ status: 404, code: 'not_found' })
      expect((await server.ask(`DELETE /v1/holds/${id}`)).body, id).toMatchObject({ code: 'not_found' })
      expect((await server.ask(`POST /v1/holds/${id}/extend`, { body: { ttl_seconds: 1 } })).status, id).toBe(404)
    }
  })
})

describe('a hold whose time is over', () => {
  test('lets its units be sold again when it is over, and not before', async () => {
    const sku = await stocked(server.sk, 1)
    const { id, expires_at } = await holdOf(sku, 1, 1)
    const expiresAt = Date.parse(expires_at)
    let soldAt = 0
    await eventually(async () => {
      const reply = await server.ask('POST /v1/orders', { body: paidOrder(lineOf(sku)) })
      soldAt = Date.now()
      return reply.status === 201
    })
    expect(soldAt).toBeGreaterThanOrEqual(expiresAt)
    expect(await server.sk.holds.get(id)).toMatchObject({ status: 'expired' })
  })

  test('reads expired and its units available, though nobody asked for them', async () => {
    const sku = await stocked(server.sk, 3)
    const { id } = await holdOf(sku, 3, 1)
    await eventually(async () => (await server.sk.stock.get(sku)).available === 3)
    expect(await server.sk.holds.get(id)).toMatchObject({ status: 'expired' })
    expect(await problemOf(server.sk.holds.extend(id, { ttl_seconds: 10 }))).toMatchObject({
      status: 409,
      code: 'hold_expired',
    })
    expect(await problemOf(server.sk.orders.place({ ...paidOrder(lineOf(sku)), hold_id: id }))).toMatchObject({
      status: 409,
      code: 'hold_expired',
    })
    expect((await server.ask(`DELETE /v1/holds/${id}`)).status).toBe(204)
  })
})

describe('an order from a hold', () => {
  test('consumes it, and what is left of it is released', async () => {
    const [a, b] = [await stocked(server.sk, 10), await stocked(server.sk, 10)]
    const { id } = await server.sk.holds.place({
      lines: [
        { sku: a, quantity: 3 },
        { sku: b, quantity: 5 },
        { sku: a, quantity: 2 },
      ],
      ttl_seconds: 60,
    })
    expect(await server.sk.stock.get(a)).toMatchObject({ reserved: 5, available: 5 })
    const order = await server.sk.orders.place({ ...paidOrder(lineOf(a, 4)), hold_id: id })
    expect(order).toMatchObject({ status: 'confirmed', hold_id: id, lines: [{ sku: a, quantity: 4 }] })
    expect(await server.sk.holds.get(id)).toMatchObject({ status: 'consumed' })
    expect(await server.sk.stock.get(a)).toMatchObject({ reserved: 0, committed: 4, available: 6 })
    expect(await server.sk.stock.get(b)).toMatchObject({ reserved: 0, committed: 0, available: 10 })
  })

  test('gets the last units, which nobody without the hold does', async () => {
    const sku = await stocked(server.sk, 2)
    const { id } = await holdOf(sku, 2)
    expect(await problemOf(server.sk.orders.place(paidOrder(lineOf(sku))))).toMatchObject({
      code: 'insufficient_stock',
    })
    expect(await server.sk.orders.place({ ...paidOrder(lineOf(sku, 2)), hold_id: id })).toMatchObject({
      status: 'confirmed',
    })
  })

  test('is refused when the hold does not cover it, was used, was released, or never was', async () => {
    const [sku, other] = [await stocked(server.sk, 20), await stocked(server.sk, 20)]
    const from = (hold_id: string, ...lines: ReturnType<typeof lineOf>[]) =>
      problemOf(server.sk.orders.place({ ...paidOrder(...lines), hold_id }))
    const { id } = await holdOf(sku, 3)
    expect(await from(id, lineOf(sku, 4))).toMatchObject({ status: 422, code: 'hold_too_small' })
    expect(await from(id, lineOf(sku, 2), lineOf(sku, 2))).toMatchObject({ code: 'hold_too_small' })
    expect(await from(id, lineOf(other))).toMatchObject({ code: 'hold_too_small' })
    expect(await server.sk.holds.get(id)).toMatchObject({ status: 'active' }) // a refusal leaves it alone
    await server.sk.orders.place({ ...paidOrder(lineOf(sku, 3)), hold_id: id })
    expect(await from(id, lineOf(sku))).toMatchObject({ status: 409, code: 'hold_consumed' })
    expect((await server.ask(`DELETE /v1/holds/${id}`)).body).toMatchObject({ status: 409, code: 'hold_consumed' })
    const released = await holdOf(sku, 1)
    await server.sk.holds.release(released.id)
    expect(await from(released.id, lineOf(sku))).toMatchObject({ status: 409, code: 'hold_released' })
    expect(await from(`hld_eu1_${'0'.repeat(26)}`, lineOf(sku))).toMatchObject({
      status: 422,
      code: 'hold_not_found',
    })
  })
})
