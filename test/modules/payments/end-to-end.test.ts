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
