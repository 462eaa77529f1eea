// What is said about an order, what it refuses, and what a storefront may do to it, over HTTP.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HttpCell, openHttpCell, orderBody } from '../support/http-cell.ts'
import { eur, orderSteps, parcel, units } from '../support/order-steps.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  expect((await cell.call('GET', '/v1/audit?fresh=true')).json).toMatchObject({ consistent: true })
  await cell.stop()
})

const { post, placed, expectRefused } = orderSteps(() => cell)

describe('capturing and reviewing', () => {
  it('is refused where there is nothing to capture or to review, and takes no body', async () => {
    const order = await placed(1)
    await expectRefused(order, 409, 'nothing_to_capture', () => post(`${order.path}/capture`))
    await expectRefused(order, 409, 'not_in_review', () => post(`${order.path}/approve`))
    await expectRefused(order, 409, 'not_in_review', () => post(`${order.path}/refuse`, {}))
    await expectRefused(order, 400, 'unknown_field', () => post(`${order.path}/capture`, { amount: eur(1) }))
    await expectRefused(order, 400, 'invalid_body', () => post(`${order.path}/approve`, []))
    await expectRefused(order, 400, 'idempotency_key_required', () =>
      post(`${order.path}/capture`, undefined, { key: null }),
    )
    await post(`${order.path}/cancel`, { reason: 'fraud' })
    for (const step of ['capture', 'approve', 'refuse'])
      await expectRefused(order, 409, 'order_cancelled', () => post(`${order.path}/${step}`))
  })
})

describe('editing', () => {
  const edit = (path: string, body: unknown, headers = {}) => cell.call('PATCH', path, { body, headers })

  it('changes what is named, keeps what is not, and null clears; without a key, honouring If-Match', async () => {
    const more = {
      payment: { provider: 'none' },
      customer: { email: 'a@example.com', external_id: '7' },
      shipping_address: { country: 'AT', city: 'Wien' },
      note: 'ring twice',
      tags: ['a'],
      metadata: { k: 'v' },
    }
    const order = await placed(1, more)
    const address = { country: 'DE', city: 'Ulm' }
    const edited = await edit(order.path, { shipping_address: address, tags: ['b'] }, { 'if-match': '"2"' })
    expect(edited.status).toBe(200)
    expect(edited.headers.get('etag')).toBe('"3"')
    expect(edited.json).toEqual({
      ...order.json,
      shipping_address: address,
      tags: ['b'],
      version: 3,
      updated_at: edited.json.updated_at,
    })
    expect((await cell.call('GET', order.path)).json).toEqual(edited.json)
    await expectRefused(order, 412, 'precondition_failed', () => edit(order.path, { note: 'x' }, { 'if-match': '"2"' }))
    const cleared = await edit(order.path, {
      shipping_address: null,
      note: null,
      tags: null,
      metadata: null,
      customer: { email: null },
    })
    expect(cleared.json).toMatchObject({
      shipping_address: null,
      note: null,
      tags: [],
      metadata: {},
      customer: { external_id: '7' },
    })
    expect(cleared.json.customer).not.toHaveProperty('email')
    expect((await edit(order.path, { customer: { email: 'b@example.com' } })).json.customer).toEqual({
      email: 'b@example.com',
      external_id: '7',
    })
    expect((await cell.call('GET', '/v1/orders?email=b@example.com')).json.data).toHaveLength(1)
  })

  it('of an order that had none of it adds it', async () => {
    const order = await placed(1, {})
    const { json } = await edit(order.path, { note: 'n', metadata: { a: 'b' } })
    expect(json).toMatchObject({ note: 'n', metadata: { a: 'b' }, tags: [], shipping_address: null, customer: null })
  })

  it('is refused for an address once something was shipped, and for what breaks the schema', async () => {
    const order = await placed(2)
    const refused = (status: number, code: string, body: unknown) =>
      expectRefused(order, status, code, () => edit(order.path, body))
    const unknown = await refused(422, 'country_unknown', { shipping_address: { country: 'QQ' } })
    expect(unknown.json.errors[0].pointer).toBe('/shipping_address/country')
    await refused(400, 'invalid_body', {})
    await refused(400, 'invalid_body', { note: 1 })
    await refused(400, 'invalid_body', { customer: {} })
    await refused(400, 'invalid_body', { customer: { email: 'ann' } })
    await refused(400, 'unknown_field', { customer: { email: null, external_id: '8' } })
    await refused(400, 'unknown_field', { currency: 'USD' })
    await refused(400, 'unknown_field', { shipping_address: { country: 'AT', planet: 'Earth' } })
    await post(`${order.path}/shipments`, { ...parcel, lines: [units(order.sku, 1)] })
    await refused(409, 'order_shipped', { shipping_address: { country: 'AT' } })
    expect((await edit(order.path, { note: 'left' })).json.note).toBe('left')
  })
})

const exchangeOf = (sku: string, order: object) => ({ return: { reason: 'r', lines: [units(sku, 1)] }, order })

describe('what is not there', () => {
  const unknown = '01m83e52mxemrrda1f1s17zv95'
  it.each([
    ['POST', `/v1/orders/ord_eu1_${unknown}/payments`, { provider: 'none' }],
    ['GET', `/v1/orders/ord_eu1_${unknown}/payments`, undefined],
    ['POST', `/v1/orders/ord_eu1_${unknown}/refunds`, { reason: 'r', amount: eur(1) }],
    ['GET', `/v1/orders/x/refunds`, undefined],
    ['POST', `/v1/orders/ord_us1_${unknown}/capture`, undefined],
    ['POST', `/v1/orders/ord_eu1_${unknown}/shipments`, parcel],
    ['POST', `/v1/orders/shp_eu1_${unknown}/returns`, { reason: 'r', lines: [units('a', 1)] }],
    ['POST', `/v1/orders/ord_eu1_${unknown}/short-picks`, { location: 'main', lines: [units('a', 1)] }],
    ['PATCH', `/v1/orders/ord_eu1_${unknown}`, { note: 'n' }],
    ['GET', `/v1/shipments/shp_eu1_${unknown}`, undefined],
    ['POST', `/v1/orders/ord_eu1_${unknown}/exchanges`, exchangeOf('a', orderBody('a'))],
    ['POST', `/v1/orders/ord_eu1_${unknown}/picks`, { location: 'main' }],
    ['POST', `/v1/shipments/shp_eu1_${unknown}/pack`, undefined],
    ['POST', `/v1/shipments/shp_eu1_${unknown}/ship`, parcel],
    ['POST', `/v1/shipments/shp_eu1_${unknown}/cancel`, undefined],
    ['POST', `/v1/shipments/shp_eu1_${unknown}/deliver`, undefined],
    ['GET', `/v1/returns/shp_eu1_${unknown}`, undefined],
    ['POST', `/v1/returns/ret_us1_${unknown}/receive`, { lines: [{ ...units('a', 1), resellable: true }] }],
  ])('is 404: %s %s', async (method, path, body) => {
    expect((await cell.call(method, path, { body })).json).toMatchObject({ status: 404, code: 'not_found' })
  })

  it('of one order is not found under another', async () => {
    const [one, other] = [await placed(1), await placed(1)]
    const { data } = (await cell.call('GET', `${one.path}/payments`)).json
    expect((await cell.call('GET', `${other.path}/payments/${data[0].id}`)).status).toBe(404)
    const refund = await post(`${one.path}/refunds`, { reason: 'r' })
    expect((await cell.call('GET', `${other.path}/refunds/${refund.json.id}`)).status).toBe(404)
  })
})

describe('a storefront', () => {
  it('reads the payments of its own order, and does nothing else to it', async () => {
    const order = await placed(1, {})
    const as = 'pk_dev'
    const headers = { 'holdfast-client-secret': order.json.client_secret }
    const pay = (more = {}) => post(`${order.path}/payments`, { provider: 'none' }, { as, ...more })
    await expectRefused(order, 403, 'forbidden', () => pay())
    await expectRefused(order, 404, 'not_found', () => pay({ headers: { 'holdfast-client-secret': 'guessed' } }))
    await expectRefused(order, 403, 'forbidden', () => pay({ headers }))
    expect((await cell.call('GET', `${order.path}/payments`, { as, headers })).json.data).toEqual([])
    expect((await cell.call('GET', `${order.path}/payments`, { as })).status).toBe(403)
    for (const [method, path, body] of [
      ['POST', `${order.path}/refunds`, { reason: 'r' }],
      ['POST', `${order.path}/capture`, undefined],
      ['POST', `${order.path}/shipments`, parcel],
      ['POST', `${order.path}/picks`, { location: 'main' }],
      ['POST', `${order.path}/exchanges`, exchangeOf(order.sku, orderBody(order.sku))],
      ['POST', `${order.path}/returns`, { reason: 'r', lines: [units(order.sku, 1)] }],
      ['POST', `${order.path}/approve`, undefined],
      ['PATCH', order.path, { note: 'n' }],
    ] as const)
      await expectRefused(order, 403, 'forbidden', () => cell.call(method, path, { body, as, headers }))
  })
})
