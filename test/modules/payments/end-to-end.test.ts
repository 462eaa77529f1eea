// Orders paid through the test provider, by a whole cell: what the caller sees, and what the provider holds.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type Answer, type HttpCell, openHttpCell, orderBody, receive } from '../../support/http-cell.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 1_000)
})
afterAll(() => cell.stop())

const pay = (method: string, more: object = {}) =>
  cell.call('POST', '/v1/orders', { body: orderBody('A-1', 2, { payment: { provider: 'test', method }, ...more }) })
const read = async (id: string): Promise<Answer['json']> => (await cell.call('GET', `/v1/orders/${id}`)).json
const chargesOf = async (id: string): Promise<Answer['json'][]> =>
  (await cell.call('GET', `/v1/test-provider/charges?order=${id}`)).json.data

async function whenOrder(id: string, is: (order: Answer['json']) => boolean, ms = 15_000): Promise<Answer['json']> {
  let order: Answer['json']
  await eventually(async () => {
    order = await read(id)
    return is(order)
  }, ms)
  return order
}
const confirmed = (id: string) => whenOrder(id, ({ status }) => status === 'confirmed')
const eventTypes = async (id: string): Promise<string[]> =>
  (await cell.call('GET', `/v1/orders/${id}/events`)).json.data.map(({ type }: { type: string }) => type)

async function expectOneCharge(id: string, more: object = {}): Promise<void> {
  const charges = await chargesOf(id)
  expect(charges).toEqual([
    expect.objectContaining({
      order_id: id,
      amount: 1000,
      currency: 'EUR',
      captured: 1000,
      refunded: 0,
      status: 'captured',
      ...more,
    }),
  ])
}

test('an order with tok_ok is confirmed, and charged once', async () => {
  const { status, json } = await pay('tok_ok')
  expect(status).toBe(201)
  const order = await confirmed(json.id)
  expect(order.payment).toEqual({ status: 'captured', provider: 'test' })
  await expectOneCharge(json.id)
  const [charge] = await chargesOf(json.id)
  expect(Object.keys(charge).sort()).toEqual(
    ['amount', 'captured', 'currency', 'id', 'idempotency_key', 'order_id', 'refunded', 'status'].sort(),
  )
  expect(await eventTypes(json.id)).toEqual([
    'order.placed',
    'payment.requested',
    'payment.authorized',
    'payment.captured',
    'order.confirmed',
  ])
})

test.each([
  ['tok_declined', 'card_declined'],
  ['tok_insufficient_funds', 'insufficient_funds'],
])('a payment with %s fails, and the order stays pending and says why', async (method, code) => {
  const { json } = await pay(method)
  const order = await whenOrder(json.id, ({ payment }) => payment.status === 'failed')
  expect(order).toMatchObject({ status: 'pending', payment: { status: 'failed', error: { code } } })
  expect(order.expires_at).not.toBeNull()
  expect(await chargesOf(json.id)).toMatchObject([{ status: 'failed', captured: 0 }])
})

test('a charge whose answer never comes is looked up, and charged once', { timeout: 40_000 }, async () => {
  const { json } = await pay('tok_timeout')
  await eventually(async () => (await chargesOf(json.id)).length === 1)
  expect((await read(json.id)).payment.status).toBe('pending')
  await whenOrder(json.id, ({ status }) => status === 'confirmed', 30_000)
  await expectOneCharge(json.id)
})

test('a slow provider is waited for, and delays nobody else', { timeout: 40_000 }, async () => {
  const slow = await Promise.all(Array.from({ length: 20 }, () => pay('tok_slow')))
  const quick = await pay('tok_ok')
  await confirmed(quick.json.id)
  for (const { json } of slow) expect((await read(json.id)).status).toBe('pending')
  for (const { json } of slow) {
    await whenOrder(json.id, ({ status }) => status === 'confirmed', 30_000)
    await expectOneCharge(json.id)
  }
})

test('a provider that fails twice without charging is asked again, and charges once', async () => {
  const { json } = await pay('tok_flaky')
  await confirmed(json.id)
  await expectOneCharge(json.id)
  expect(await eventTypes(json.id)).not.toContain('payment.failed')
})

test('a payment that asks something of the buyer is confirmed once he has done it', async () => {
  const { json } = await pay('tok_requires_action')
  const order = await whenOrder(json.id, ({ payment }) => payment.status === 'requires_action')
  expect(order.payment.next_action).toEqual({
    type: 'test_provider',
    complete: expect.stringMatching(/^\/v1\/test-provider/),
  })
  expect(await chargesOf(json.id)).toEqual([])
  // A buyer's page posts to it: a key is not asked for, and twice is once.
  for (const key of [null, null, 'complete-1', 'complete-1']) {
    const done = await cell.call('POST', order.payment.next_action.complete, { key })
    expect(done).toMatchObject({ status: 200, json: { order_id: json.id, captured: 1000, status: 'captured' } })
  }
  expect((await read(json.id)).status).toBe('confirmed')
  await expectOneCharge(json.id)
})

test('the money of an order that is cancelled while its payment is open goes back', { timeout: 40_000 }, async () => {
  const { json } = await pay('tok_slow')
  const cancelled = await cell.call('POST', `/v1/orders/${json.id}/cancel`, { body: { reason: 'buyer' } })
  expect(cancelled).toMatchObject({ status: 200, json: { status: 'cancelled' } })
  const order = await whenOrder(json.id, ({ payment }) => payment.status === 'refunded', 30_000)
  expect(order.status).toBe('cancelled')
  expect(await chargesOf(json.id)).toMatchObject([{ captured: 1000, refunded: 1000, status: 'refunded' }])
})

test('the money of a confirmed order that is cancelled goes back, once', async () => {
  const { json } = await pay('tok_ok')
  await confirmed(json.id)
  await cell.call('POST', `/v1/orders/${json.id}/cancel`, { body: { reason: 'merchant' } })
  await whenOrder(json.id, ({ payment }) => payment.status === 'refunded')
  expect(await chargesOf(json.id)).toMatchObject([{ captured: 1000, refunded: 1000, status: 'refunded' }])
})

test('nothing is left to do when every order is settled', { timeout: 40_000 }, async () => {
  await eventually(async () => {
    const [row] = await cell.database.query<{ count: number }>('select count(*) from payments.operations')
    return row!.count === 0
  }, 30_000)
})

describe('the test provider’s routes', () => {
  test('need an sk_ key, and show no other shop or order', async () => {
    const path = '/v1/test-provider/charges?order=ord_eu1_00000000000000000000000000'
    expect(await cell.call('GET', path)).toMatchObject({ status: 200, json: { data: [] } })
    expect(await cell.call('GET', path, { as: 'pk_dev' })).toMatchObject({ status: 403, json: { code: 'forbidden' } })
    expect(await cell.call('GET', path, { as: null })).toMatchObject({ status: 401 })
    expect(await cell.call('GET', '/v1/test-provider/charges')).toMatchObject({ status: 400 })
    expect(await cell.call('GET', '/v1/test-provider/charges?order=nonsense')).toMatchObject({ json: { data: [] } })
  })

  test('complete no charge that there is not', async () => {
    for (const id of ['ch_00000000000000000000000000000000', 'nonsense']) {
      const answer = await cell.call('POST', `/v1/test-provider/charges/${id}/complete`)
      expect(answer).toMatchObject({ status: 404, json: { code: 'not_found' } })
    }
  })
})

test('an unknown provider or method is refused before anything is kept', async () => {
  expect(await pay('tok_nonsense')).toMatchObject({ status: 422, json: { code: 'payment_method_unknown' } })
  const unknown = orderBody('A-1', 1, { payment: { provider: 'nobody', method: 'x' } })
  expect(await cell.call('POST', '/v1/orders', { body: unknown })).toMatchObject({
    status: 422,
    json: { code: 'provider_unknown' },
  })
})

test('calls, breakers and operations are measured', async () => {
  const { text } = await cell.call('GET', '/metrics')
  expect(text).toMatch(/holdfast_payment_calls_total\{[^}]*outcome="captured"/)
  expect(text).toMatch(/holdfast_payment_breaker_open\{[^}]*provider="test"[^}]*\} 0/)
  expect(text).toMatch(/holdfast_payment_operations\{[^}]*state="dead"[^}]*\} 0/)
})
