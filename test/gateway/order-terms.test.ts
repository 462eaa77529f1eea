// Orders of shops that take money at shipment, or that look at orders first: authorized, captured by hand or by the first
// parcel, approved, refused.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseWireId } from '../../src/base/ids.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

const dayMs = 24 * 60 * 60 * 1000
let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 100)
})
afterEach(async () => {
  await settle({})
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

const parcel = { carrier: 'post', tracking_number: 'T-1' }
const settle = async (body: object) =>
  expect((await cell.call('PUT', '/v1/settings', { body })).status, JSON.stringify(body)).toBe(200)
const post = (path: string, body?: unknown, options = {}) => cell.call('POST', path, { body, ...options })
const read = async (path: string) => (await cell.call('GET', path)).json
const chargesOf = async (id: string) => (await read(`/v1/test-provider/charges?order=${id}`)).data

/** Keys remember their shop's settings for a while, so the order is placed until it falls under them. */
async function placedUnder(isIt: (order: { status: string }) => boolean, quantity = 1) {
  let placed: { id: string; path: string; json: Awaited<ReturnType<typeof read>> } | undefined
  await eventually(async () => {
    const payment = { provider: 'test', method: 'tok_ok' }
    const { json } = await post('/v1/orders', orderBody('A-1', quantity, { payment }), {
      headers: { prefer: 'wait=10' },
    })
    placed = { id: json.id, path: `/v1/orders/${json.id}`, json }
    return isIt(json)
  })
  return placed!
}

describe('money that is taken at shipment', () => {
  const isAuthorized = (order: object) => (order as { payment: { status: string } }).payment.status === 'authorized'

  it('is set aside with the order, and taken when asked for, once', async () => {
    await settle({ capture: 'at_shipment' })
    const { id, path, json } = await placedUnder(isAuthorized)
    expect(json).toMatchObject({ status: 'confirmed', payment: { status: 'authorized', provider: 'test' } })
    const refund = await post(`${path}/refunds`, { reason: 'r' })
    expect(refund.json).toMatchObject({ status: 409, code: 'refund_too_large' })
    expect((await post(`${path}/capture`, undefined, { headers: { 'if-match': '"1"' } })).status).toBe(412)
    const key = crypto.randomUUID()
    const capture = await post(`${path}/capture`, undefined, { key })
    expect(capture.status).toBe(200)
    expect(capture.json.id).toBe(id)
    await eventually(async () => (await read(path)).payment.status === 'captured')
    const again = await post(`${path}/capture`, undefined, { key })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.json.payment.status).toBe('captured')
    expect((await post(`${path}/capture`)).json).toMatchObject({ status: 409, code: 'nothing_to_capture' })
    expect(await chargesOf(id)).toMatchObject([{ captured: 500, status: 'captured' }])
  })

  it('has an end, as long as the shop says, and is taken at its deadline by the sweeper', async () => {
    await settle({ capture: 'at_shipment', payments: { authorization_days: 3 } })
    const { id, path, json } = await placedUnder(isAuthorized)
    expect(json).toMatchObject({ status: 'confirmed', expires_at: null })
    const [payment] = (await read(`${path}/payments`)).data
    expect(Date.parse(payment.authorized_until) - Date.parse(payment.created_at)).toBeGreaterThanOrEqual(3 * dayMs)
    expect(Date.parse(payment.authorized_until) - Date.parse(payment.created_at)).toBeLessThan(3 * dayMs + 60_000)
    const untilSoon = String(Date.now() + 3_600_000) // the deadline was 23 h ago
    await cell.database.transaction((session) =>
      session.run(
        `update orders.states set expires_at = now(), life = jsonb_set(life::jsonb, '{payments,0,authorizedUntil}', $2::jsonb)
         where id = $1`,
        [parseWireId(id)!.uuid, untilSoon],
      ),
    )
    await eventually(async () => (await read(path)).payment.status === 'captured', 10_000)
    expect(await read(path)).toMatchObject({ status: 'confirmed', expires_at: null })
    expect((await read(`${path}/payments`)).data[0]).not.toHaveProperty('authorized_until')
  })

  it('is taken with the first parcel, and the order is completed when it has come', async () => {
    await settle({ capture: 'at_shipment' })
    const { path } = await placedUnder(isAuthorized, 2)
    expect((await post(`${path}/shipments`, parcel)).status).toBe(201)
    await eventually(async () => (await read(path)).status === 'completed')
    expect((await read(`${path}/payments`)).data).toMatchObject([
      { status: 'captured', captured_amount: { amount: 1000 }, amount: { amount: 1000 } },
    ])
  })

  it('is let go when the order is cancelled before', async () => {
    await settle({ capture: 'at_shipment' })
    const { id, path } = await placedUnder(isAuthorized)
    expect((await post(`${path}/cancel`, { reason: 'buyer' })).json.status).toBe('cancelled')
    await eventually(async () => (await read(path)).payment.status === 'voided')
    expect(await chargesOf(id)).toMatchObject([{ captured: 0, status: 'voided' }])
  })
})

describe('an order in review', () => {
  const inReview = ({ status }: { status: string }) => status === 'in_review'

  it('holds its units and its money until it is approved, and then goes on as if nobody had asked', async () => {
    await settle({ risk: { review_above: { EUR: 400 } } })
    const { path, json } = await placedUnder(inReview)
    expect(json).toMatchObject({
      payment: { status: 'authorized' },
      risk: { review: 'open', reasons: [expect.any(String)] },
      expires_at: null,
    })
    expect((await post(`${path}/shipments`, parcel)).json).toMatchObject({ status: 409, code: 'order_not_confirmed' })
    expect((await post(`${path}/capture`)).json).toMatchObject({ status: 409, code: 'nothing_to_capture' })
    expect((await post(`${path}/payments`, { provider: 'none' })).json).toMatchObject({ code: 'order_paid' })
    const approved = await post(`${path}/approve`)
    expect(approved.status).toBe(200)
    expect(approved.json.risk.review).toBe('approved')
    await eventually(async () => (await read(path)).status === 'confirmed')
    expect((await read(path)).payment.status).toBe('captured')
    expect((await post(`${path}/refuse`)).json).toMatchObject({ status: 409, code: 'not_in_review' })
  })

  it('that is refused gives units and money back', async () => {
    await settle({ risk: { review_above: { EUR: 400 } } })
    const { id, path } = await placedUnder(inReview)
    const before = (await read('/v1/stock/A-1')).reserved
    const key = crypto.randomUUID()
    const refused = await post(`${path}/refuse`, {}, { key })
    expect(refused.json).toMatchObject({ status: 'cancelled', cancel_reason: 'fraud', risk: { review: 'refused' } })
    expect((await post(`${path}/refuse`, {}, { key })).headers.get('idempotent-replayed')).toBe('true')
    expect((await post(`${path}/approve`)).json).toMatchObject({ status: 409, code: 'order_cancelled' })
    expect((await read('/v1/stock/A-1')).reserved).toBe(before - 1)
    await eventually(async () => (await read(path)).payment.status === 'voided')
    expect(await chargesOf(id)).toMatchObject([{ captured: 0, status: 'voided' }])
  })
})
