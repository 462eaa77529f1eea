// The life of an order over HTTP where no provider is needed: paid elsewhere, shipped, sent back, refunded, short. Every
// refusal has its code and changes nothing.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { eur, newSku, orderSteps, parcel, units } from '../support/order-steps.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await cell.call('PUT', '/v1/locations/east', { body: { name: 'East', address: { country: 'AT' } } })
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  expect((await cell.call('GET', '/v1/audit?fresh=true')).json).toMatchObject({ consistent: true })
  await cell.stop()
})

const { post, stockOf, placed, expectRefused } = orderSteps(() => cell)

describe('paying', () => {
  it('elsewhere confirms the order and answers the payment, where it is, and again on a retry', async () => {
    const order = await placed(2, {})
    const key = crypto.randomUUID()
    const paid = await post(`${order.path}/payments`, { provider: 'none' }, { key })
    expect(paid.status).toBe(201)
    expect(paid.json).toEqual({
      id: expect.stringMatching(/^pay_eu1_[0-9a-z]{26}$/),
      order_id: order.id,
      provider: 'none',
      status: 'captured',
      amount: eur(1000),
      captured_amount: eur(1000),
      created_at: expect.any(String),
    })
    const location = paid.headers.get('location')!
    expect(location).toBe(`${order.path}/payments/${paid.json.id}`)
    expect((await cell.call('GET', location)).json).toEqual(paid.json)
    expect((await cell.call('GET', `${order.path}/payments`)).json).toEqual({ data: [paid.json], next_cursor: null })
    expect((await cell.call('GET', order.path)).json).toMatchObject({
      status: 'confirmed',
      payment: { status: 'captured', provider: 'none' },
    })
    const again = await post(`${order.path}/payments`, { provider: 'none' }, { key })
    expect(again.json).toEqual(paid.json)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.headers.get('location')).toBe(location)
  })

  it('of an order that was paid elsewhere with its placing is listed as well', async () => {
    const order = await placed(1)
    const { data } = (await cell.call('GET', `${order.path}/payments`)).json
    expect(data).toMatchObject([{ order_id: order.id, provider: 'none', status: 'captured', amount: eur(500) }])
    expect((await cell.call('GET', `${order.path}/payments/${data[0].id}`)).json).toEqual(data[0])
  })

  it('is refused when it is paid, cancelled, or nobody knows the provider', async () => {
    const paid = await placed(1)
    await expectRefused(paid, 409, 'order_paid', () => post(`${paid.path}/payments`, { provider: 'none' }))
    const open = await placed(1, {})
    await expectRefused(open, 422, 'provider_unknown', () => post(`${open.path}/payments`, { provider: 'nobody' }))
    await expectRefused(open, 422, 'payment_method_unknown', () =>
      post(`${open.path}/payments`, { provider: 'none', method: 'card' }),
    )
    await post(`${open.path}/cancel`, { reason: 'buyer' })
    await expectRefused(open, 409, 'order_cancelled', () => post(`${open.path}/payments`, { provider: 'none' }))
  })
})

describe('refunding', () => {
  it('gives back an amount, then the price of units, then the rest, and never more', async () => {
    const order = await placed(4)
    const refund = (body: object, options = {}) =>
      post(`${order.path}/refunds`, { reason: 'goodwill', ...body }, options)
    const key = crypto.randomUUID()
    const some = await refund({ amount: eur(300) }, { key })
    expect(some.status).toBe(201)
    expect(some.json).toEqual({
      id: expect.stringMatching(/^rfd_eu1_[0-9a-z]{26}$/),
      order_id: order.id,
      payment_id: expect.stringMatching(/^pay_eu1_/),
      status: 'refunded',
      amount: eur(300),
      created_at: expect.any(String),
    })
    expect((await cell.call('GET', some.headers.get('location')!)).json).toEqual(some.json)
    expect((await cell.call('GET', order.path)).json).toMatchObject({
      status: 'confirmed',
      payment: { status: 'partially_refunded' },
      refunds: [some.json],
    })
    const again = await refund({ amount: eur(300) }, { key })
    expect(again.json).toEqual(some.json)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    const byLine = await refund({ lines: [units(order.sku, 1)] })
    expect(byLine.json.amount).toEqual(eur(500))
    await expectRefused(order, 409, 'refund_too_large', () => refund({ amount: eur(1201) }))
    const rest = await refund({})
    expect(rest.json.amount).toEqual(eur(1200))
    const listed = (await cell.call('GET', `${order.path}/refunds?limit=2`)).json
    expect(listed.data).toEqual([rest.json, byLine.json])
    const older = await cell.call('GET', `${order.path}/refunds?limit=2&cursor=${listed.next_cursor}`)
    expect(older.json).toEqual({ data: [some.json], next_cursor: null })
    expect((await cell.call('GET', order.path)).json.payment.status).toBe('refunded')
    await expectRefused(order, 409, 'refund_too_large', () => refund({}))
  })

  it('is refused for what was not paid, for both an amount and lines, and for another currency', async () => {
    const open = await placed(1, {})
    await expectRefused(open, 409, 'refund_too_large', () => post(`${open.path}/refunds`, { reason: 'r' }))
    const order = await placed(2)
    const refused = (status: number, code: string, body: object) =>
      expectRefused(order, status, code, () => post(`${order.path}/refunds`, { reason: 'r', ...body }))
    await refused(422, 'amount_and_lines', { amount: eur(1), lines: [units(order.sku, 1)] })
    const mismatch = await refused(422, 'currency_mismatch', { amount: { amount: 1, currency: 'USD' } })
    expect(mismatch.json.errors[0].pointer).toBe('/amount/currency')
    await refused(409, 'refund_too_large', { amount: eur(1001) })
    await refused(409, 'nothing_to_refund', { amount: eur(0) })
    await refused(422, 'quantity_too_large', { lines: [units(order.sku, 3)] })
    await refused(422, 'line_not_found', { lines: [units('elsewhere', 1)] })
    await refused(400, 'invalid_body', { amount: { amount: -1, currency: 'EUR' } })
    await refused(400, 'invalid_body', { lines: [] })
    await refused(400, 'unknown_field', { colour: 'red' })
    await expectRefused(order, 400, 'invalid_body', () => post(`${order.path}/refunds`, { amount: eur(1) }))
    await expectRefused(order, 400, 'cursor_invalid', () => cell.call('GET', `${order.path}/refunds?cursor=x`))
  })
})

describe('shipping', () => {
  it('half, then the rest, completes the order; each parcel is delivered once', async () => {
    const order = await placed(4)
    const key = crypto.randomUUID()
    const half = { ...parcel, lines: [units(order.sku, 2)] }
    const first = await post(`${order.path}/shipments`, half, { key, headers: { 'if-match': '"2"' } })
    expect(first.status).toBe(201)
    expect(first.json).toEqual({
      id: expect.stringMatching(/^shp_eu1_[0-9a-z]{26}$/),
      order_id: order.id,
      status: 'shipped',
      ...parcel,
      lines: [{ ...units(order.sku, 2), location: 'main' }],
      created_at: expect.any(String),
      shipped_at: expect.any(String),
      delivered_at: null,
    })
    expect(first.headers.get('location')).toBe(`/v1/shipments/${first.json.id}`)
    expect((await cell.call('GET', first.headers.get('location')!)).json).toEqual(first.json)
    expect((await cell.call('GET', order.path)).json).toMatchObject({
      status: 'confirmed',
      fulfilment: { status: 'partially_fulfilled' },
      shipments: [first.json],
      lines: [{ shipped_quantity: 2 }],
    })
    expect(await stockOf(order.sku)).toMatchObject({ on_hand: 2, committed: 2 })
    const again = await post(`${order.path}/shipments`, half, { key, headers: { 'if-match': '"2"' } })
    expect(again.json).toEqual(first.json)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    const rest = await post(`${order.path}/shipments`, { ...parcel, location: 'main' })
    expect(rest.json.lines).toMatchObject([units(order.sku, 2)])
    expect((await cell.call('GET', order.path)).json).toMatchObject({
      status: 'completed',
      fulfilment: { status: 'fulfilled' },
    })
    const delivered = await post(`/v1/shipments/${rest.json.id}/deliver`)
    expect(delivered.status).toBe(200)
    expect(delivered.json).toMatchObject({ id: rest.json.id, status: 'delivered', delivered_at: expect.any(String) })
    expect((await post(`/v1/shipments/${rest.json.id}/deliver`, {})).json).toEqual(delivered.json)
  })

  it('is refused before the order is confirmed, after it is cancelled, and for what is not there', async () => {
    const open = await placed(1, {})
    await expectRefused(open, 409, 'order_not_confirmed', () => post(`${open.path}/shipments`, parcel))
    await post(`${open.path}/cancel`, { reason: 'buyer' })
    await expectRefused(open, 409, 'order_cancelled', () => post(`${open.path}/shipments`, parcel))
    const order = await placed(2)
    const refused = (status: number, code: string, body: object) =>
      expectRefused(order, status, code, () => post(`${order.path}/shipments`, body))
    await refused(422, 'quantity_too_large', { ...parcel, lines: [units(order.sku, 3)] })
    await refused(422, 'line_not_found', { ...parcel, lines: [units('elsewhere', 1)] })
    await refused(409, 'nothing_to_ship', { ...parcel, location: 'east' })
    await refused(400, 'invalid_body', { carrier: 'post' })
    await refused(400, 'invalid_body', { ...parcel, tracking_number: 'a\nb' })
    await refused(400, 'invalid_body', { ...parcel, location: 'no place' })
    await refused(400, 'unknown_field', { ...parcel, weight: 1 })
    await expectRefused(order, 412, 'precondition_failed', () =>
      post(`${order.path}/shipments`, parcel, { headers: { 'if-match': '"1"' } }),
    )
    await post(`${order.path}/shipments`, parcel)
    await expectRefused(order, 409, 'order_shipped', () => post(`${order.path}/shipments`, parcel))
    await expectRefused(order, 409, 'order_shipped', () => post(`${order.path}/cancel`, { reason: 'buyer' }))
  })

  it('waits for what was sold on an allowance to arrive', async () => {
    const sku = newSku()
    await receive(cell, sku, 1)
    await cell.call('PUT', `/v1/stock/${sku}/policy`, { body: { allowance: 1 } })
    const { json } = await post('/v1/orders', orderBody(sku, 2, { payment: { provider: 'none' } }))
    const order = { sku, path: `/v1/orders/${json.id}` }
    await expectRefused(order, 409, 'insufficient_stock', () => post(`${order.path}/shipments`, parcel))
    await receive(cell, sku, 1)
    expect((await post(`${order.path}/shipments`, parcel)).status).toBe(201)
  })

  it('and cancelling at the same time: exactly one wins', async () => {
    for (let round = 0; round < 10; round++) {
      const order = await placed(1)
      const [ship, cancel] = await Promise.all([
        post(`${order.path}/shipments`, parcel),
        post(`${order.path}/cancel`, { reason: 'buyer' }),
      ])
      expect([ship.status, cancel.status].sort()).toEqual(ship.status === 201 ? [201, 409] : [200, 409])
      const { json } = await cell.call('GET', order.path)
      expect(json.status).toBe(ship.status === 201 ? 'completed' : 'cancelled')
      expect(json.shipments).toHaveLength(ship.status === 201 ? 1 : 0)
    }
  })
})

describe('returning', () => {
  async function shipped(quantity: number) {
    const order = await placed(quantity)
    await post(`${order.path}/shipments`, parcel)
    return order
  }

  it('puts resellable units back and refunds the price of all that came', async () => {
    const order = await shipped(3)
    const key = crypto.randomUUID()
    const body = { reason: 'too small', lines: [units(order.sku, 3)] }
    const asked = await post(`${order.path}/returns`, body, { key })
    expect(asked.status).toBe(201)
    expect(asked.json).toEqual({
      id: expect.stringMatching(/^ret_eu1_[0-9a-z]{26}$/),
      order_id: order.id,
      status: 'requested',
      reason: 'too small',
      lines: [units(order.sku, 3)],
      received: [],
      created_at: expect.any(String),
    })
    expect(asked.headers.get('location')).toBe(`/v1/returns/${asked.json.id}`)
    expect((await cell.call('GET', `/v1/returns/${asked.json.id}`)).json).toEqual(asked.json)
    const again = await post(`${order.path}/returns`, body, { key })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.json).toEqual(asked.json)
    const lines = [
      { ...units(order.sku, 1), resellable: true },
      { ...units(order.sku, 1), resellable: false },
    ]
    const received = await post(`/v1/returns/${asked.json.id}/receive`, { lines })
    expect(received.status).toBe(200)
    expect(received.json).toMatchObject({ id: asked.json.id, status: 'received', received: lines })
    expect(await stockOf(order.sku)).toMatchObject({ on_hand: 1, available: 1 })
    expect((await cell.call('GET', order.path)).json).toMatchObject({
      status: 'completed',
      payment: { status: 'partially_refunded' },
      refunds: [{ amount: eur(1000), status: 'refunded' }],
      returns: [received.json],
    })
    await expectRefused(order, 409, 'return_received', () => post(`/v1/returns/${asked.json.id}/receive`, { lines }))
  })

  it('is refused for what was not shipped, is coming back already, or was not announced', async () => {
    const open = await placed(1)
    const reason = 'r'
    await expectRefused(open, 409, 'not_shipped', () =>
      post(`${open.path}/returns`, { reason, lines: [units(open.sku, 1)] }),
    )
    const order = await shipped(2)
    const refused = (status: number, code: string, body: object) =>
      expectRefused(order, status, code, () => post(`${order.path}/returns`, body))
    await refused(409, 'not_shipped', { reason, lines: [units(order.sku, 3)] })
    await refused(422, 'line_not_found', { reason, lines: [units('elsewhere', 1)] })
    await refused(400, 'invalid_body', { reason })
    await refused(400, 'invalid_body', { reason: '', lines: [units(order.sku, 1)] })
    const { json } = await post(`${order.path}/returns`, { reason, lines: [units(order.sku, 1)] })
    await refused(409, 'not_shipped', { reason, lines: [units(order.sku, 2)] })
    const receipt = (quantity: number, sku = order.sku) => ({ lines: [{ sku, quantity, resellable: true }] })
    const receive = `/v1/returns/${json.id}/receive`
    await expectRefused(order, 422, 'quantity_too_large', () => post(receive, receipt(2)))
    await expectRefused(order, 422, 'line_not_found', () => post(receive, receipt(1, 'elsewhere')))
    await expectRefused(order, 400, 'invalid_body', () => post(receive, { lines: [units(order.sku, 1)] }))
    await expectRefused(order, 412, 'precondition_failed', () =>
      post(receive, receipt(1), { headers: { 'if-match': '"1"' } }),
    )
  })
})

describe('a short pick', () => {
  it('finds the units elsewhere when there are enough', async () => {
    const order = await placed(2)
    await receive(cell, order.sku, 2, 'east')
    const [{ location }] = order.json.lines[0].allocations
    expect(location).toBe('main')
    const answer = await post(`${order.path}/short-picks`, { location, lines: [units(order.sku, 1)] })
    expect(answer.status).toBe(200)
    expect(answer.json).toMatchObject({ status: 'confirmed', lines: [{ cancelled_quantity: 0 }], refunds: [] })
    expect(await stockOf(order.sku)).toMatchObject({ on_hand: 3, committed: 2 })
    const shipment = await post(`${order.path}/shipments`, parcel)
    expect(shipment.json.lines).toEqual([
      { ...units(order.sku, 1), location: 'main' },
      { ...units(order.sku, 1), location: 'east' },
    ])
  })

  it('cancels what cannot be found, money back; and the order when nothing is left', async () => {
    const order = await placed(2)
    const pick = () => post(`${order.path}/short-picks`, { location: 'main', lines: [units(order.sku, 1)] })
    expect((await pick()).json).toMatchObject({
      status: 'confirmed',
      lines: [{ cancelled_quantity: 1 }],
      payment: { status: 'partially_refunded' },
    })
    expect((await pick()).json).toMatchObject({
      status: 'cancelled',
      cancel_reason: 'short',
      payment: { status: 'refunded' },
    })
    expect(await stockOf(order.sku)).toMatchObject({ on_hand: 0, committed: 0 })
    await expectRefused(order, 409, 'order_cancelled', pick)
  })

  it('is refused for units that do not lie there', async () => {
    const order = await placed(1)
    const refused = (status: number, code: string, body: object) =>
      expectRefused(order, status, code, () => post(`${order.path}/short-picks`, body))
    await refused(422, 'quantity_too_large', { location: 'east', lines: [units(order.sku, 1)] })
    await refused(422, 'line_not_found', { location: 'main', lines: [units('elsewhere', 1)] })
    await refused(400, 'invalid_body', { lines: [units(order.sku, 1)] })
    const open = await placed(1, {})
    await expectRefused(open, 409, 'order_not_confirmed', () =>
      post(`${open.path}/short-picks`, { location: 'main', lines: [units(open.sku, 1)] }),
    )
  })
})
