// Paying over HTTP through the test provider: in one request with `Prefer: wait`, after a decline, by a storefront, and one
// attempt at a time.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 1_000)
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

const eur = (amount: number) => ({ amount, currency: 'EUR' })
const waiting = (seconds: number | string) => ({ prefer: `wait=${seconds}` })
const byCard = (method: string) => ({ provider: 'test', method })
const place = (payment: object | undefined, options = {}) =>
  cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1, payment ? { payment } : {}), ...options })
const pay = (id: string, payment: object, options = {}) =>
  cell.call('POST', `/v1/orders/${id}/payments`, { body: payment, ...options })
const read = async (path: string) => (await cell.call('GET', path)).json

describe('Prefer: wait', () => {
  it('answers the paid order in one request, and says that it has waited', async () => {
    const { status, headers, json } = await place(byCard('tok_ok'), { headers: waiting(10) })
    expect(status).toBe(201)
    expect(headers.get('preference-applied')).toBe('wait=10')
    expect(headers.get('location')).toBe(`/v1/orders/${json.id}`)
    expect(headers.get('etag')).toBe(`"${json.version}"`)
    expect(json).toMatchObject({ status: 'confirmed', payment: { status: 'captured', provider: 'test' } })
    expect(await read(`/v1/orders/${json.id}`)).toEqual(json)
  })

  it('is not waited for without the header: the attempt goes on behind the answer', async () => {
    const { headers, json } = await place(byCard('tok_ok'))
    expect(headers.has('preference-applied')).toBe(false)
    expect(json).toMatchObject({
      status: 'pending',
      payment: { status: 'pending', provider: 'test' },
      expires_at: null,
    })
    await eventually(async () => (await read(`/v1/orders/${json.id}`)).status === 'confirmed')
  })

  it('ends when the attempt has, declined or not; another may follow while the units are reserved', async () => {
    const declined = await place(byCard('tok_declined'), { headers: waiting(10) })
    expect(declined.status).toBe(201)
    expect(declined.json).toMatchObject({
      status: 'pending',
      payment: { status: 'failed', provider: 'test', error: { code: 'card_declined' } },
      expires_at: expect.any(String),
    })
    const { id } = declined.json
    const second = await pay(id, byCard('tok_ok'), { headers: waiting(10) })
    expect(second.status).toBe(201)
    expect(second.headers.get('preference-applied')).toBe('wait=10')
    expect(second.json).toMatchObject({ status: 'captured', amount: eur(500), captured_amount: eur(500) })
    expect(await read(`/v1/orders/${id}`)).toMatchObject({ status: 'confirmed', payment: { status: 'captured' } })
    const { data } = await read(`/v1/orders/${id}/payments`)
    expect(data).toMatchObject([
      second.json,
      { status: 'failed', error: { code: 'card_declined' }, provider: 'test', order_id: id },
    ])
    expect((await pay(id, byCard('tok_ok'))).json).toMatchObject({ status: 409, code: 'order_paid' })
  })

  it('ends when the buyer has to act, and tells what to do', async () => {
    const { json } = await place(byCard('tok_requires_action'), { headers: waiting(10) })
    expect(json).toMatchObject({
      status: 'pending',
      payment: { status: 'requires_action', next_action: { type: 'test_provider' } },
    })
    const [payment] = (await read(`/v1/orders/${json.id}/payments`)).data
    expect(payment).toMatchObject({ status: 'requires_action', next_action: json.payment.next_action })
    expect((await pay(json.id, byCard('tok_ok'))).json.code).toBe('payment_in_progress')
    expect((await cell.call('POST', json.payment.next_action.complete)).status).toBe(200)
    await eventually(async () => (await read(`/v1/orders/${json.id}`)).status === 'confirmed')
  })

  it('ends after that time, whatever has become of it by then; no second attempt begins beside the first', async () => {
    const started = performance.now()
    const { status, headers, json } = await place(byCard('tok_slow'), { headers: waiting(1) })
    expect(performance.now() - started).toBeGreaterThan(990)
    expect(status).toBe(201)
    expect(headers.get('preference-applied')).toBe('wait=1')
    expect(json).toMatchObject({ status: 'pending', payment: { status: 'pending' } })
    expect((await pay(json.id, byCard('tok_ok'))).json).toMatchObject({ status: 409, code: 'payment_in_progress' })
    expect((await pay(json.id, { provider: 'none' })).json).toMatchObject({ status: 409, code: 'payment_in_progress' })
    expect((await read(`/v1/orders/${json.id}/payments`)).data).toHaveLength(1)
  })

  it('does not wait where no attempt is under way', async () => {
    const unpaid = await place(undefined, { headers: waiting(20) })
    expect(unpaid.json).toMatchObject({ status: 'pending', payment: { status: 'none' } })
    const elsewhere = await place({ provider: 'none' }, { headers: waiting(20) })
    expect(elsewhere.json.status).toBe('confirmed')
    expect(elsewhere.headers.get('preference-applied')).toBe('wait=20')
    const refused = await cell.call('POST', '/v1/orders', { body: orderBody('nowhere'), headers: waiting(20) })
    expect(refused.status).toBe(422)
  })

  it('is honoured among other preferences, and passed over when it is none from 1 to 30', async () => {
    const applied = async (prefer: string) =>
      (await place({ provider: 'none' }, { headers: { prefer } })).headers.get('preference-applied')
    expect(await applied('respond-async, wait=3')).toBe('wait=3')
    expect(await applied('Wait = 30; x')).toBe('wait=30')
    for (const prefer of ['wait=0', 'wait=31', 'wait=-1', 'wait=1.5', 'wait', 'await=3', 'wait=1e1', ''])
      expect(await applied(prefer), prefer).toBeNull()
  })

  it('on a retry waits for the one order, and answers it as it is then', async () => {
    const key = crypto.randomUUID()
    const first = await place(byCard('tok_ok'), { key })
    const again = await place(byCard('tok_ok'), { key, headers: waiting(10) })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.json).toMatchObject({ id: first.json.id, status: 'confirmed' })
    const second = await place(byCard('tok_declined'), { headers: waiting(10) })
    const payKey = crypto.randomUUID()
    const paid = await pay(second.json.id, byCard('tok_ok'), { key: payKey })
    expect(paid.json.status).toBe('pending')
    const paidAgain = await pay(second.json.id, byCard('tok_ok'), { key: payKey, headers: waiting(10) })
    expect(paidAgain.headers.get('idempotent-replayed')).toBe('true')
    expect(paidAgain.json).toMatchObject({ id: paid.json.id, status: 'captured' })
  })
})

describe('a method', () => {
  it('that the provider does not know is refused, and nothing is begun', async () => {
    const unknown = await place(byCard('tok_unheard_of'))
    expect(unknown.json).toMatchObject({ status: 422, code: 'payment_method_unknown' })
    expect(unknown.json.errors[0].pointer).toBe('/payment/method')
    const { json } = await place(undefined)
    const refused = await pay(json.id, { provider: 'test' })
    expect(refused.json).toMatchObject({
      status: 422,
      code: 'payment_method_unknown',
      errors: [{ pointer: '/method' }],
    })
    expect((await pay(json.id, byCard('tok_ok'), { headers: { 'if-match': '"7"' } })).json.code).toBe(
      'precondition_failed',
    )
    expect(await read(`/v1/orders/${json.id}`)).toEqual(json)
  })
})

describe('a storefront', () => {
  it('pays its own order with the secret', async () => {
    const { json } = await place(undefined)
    const headers = { 'holdfast-client-secret': json.client_secret, ...waiting(10) }
    const paid = await pay(json.id, byCard('tok_ok'), { as: 'pk_dev', headers })
    expect(paid.status).toBe(201)
    expect(paid.json.status).toBe('captured')
    const seen = await cell.call('GET', paid.headers.get('location')!, { as: 'pk_dev', headers })
    expect(seen.json).toEqual(paid.json)
  })
})

describe('money back', () => {
  it('is asked of the provider, and stands in the order until it has answered', async () => {
    const { json } = await place(byCard('tok_ok'), { headers: waiting(10) })
    const refund = await cell.call('POST', `/v1/orders/${json.id}/refunds`, {
      body: { amount: eur(200), reason: 'late' },
    })
    expect(refund.status).toBe(201)
    expect(refund.json).toMatchObject({ amount: eur(200) })
    const location = refund.headers.get('location')!
    await eventually(async () => (await read(location)).status === 'refunded')
    expect((await read(`/v1/orders/${json.id}`)).payment.status).toBe('partially_refunded')
    const cancelled = await cell.call('POST', `/v1/orders/${json.id}/cancel`, { body: { reason: 'buyer' } })
    expect(cancelled.json).toMatchObject({ status: 'cancelled', refunds: [{ amount: eur(200) }, { amount: eur(300) }] })
    await eventually(async () => (await read(`/v1/orders/${json.id}`)).payment.status === 'refunded')
    const { data } = await read(`/v1/test-provider/charges?order=${json.id}`)
    expect(data).toMatchObject([{ order_id: json.id, captured: 500, refunded: 500 }])
  })
})
