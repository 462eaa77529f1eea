// A warehouse over HTTP: what is to be picked, parcels taken on, packed, shipped and given up, and the list of it all, which
// stays right when its consumer is rewound while orders are sold.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { newSku, orderSteps, parcel, units } from '../support/order-steps.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  for (const code of ['east', 'west', 'north', 'south'])
    await cell.call('PUT', `/v1/locations/${code}`, { body: { name: code, address: { country: 'AT' } } })
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  expect((await cell.call('GET', '/v1/audit?fresh=true')).json).toMatchObject({ consistent: true })
  await cell.stop()
})

const { post, stockOf, placed, expectRefused } = orderSteps(() => cell)
const pick = ({ id }: { id: string }, body: object = { location: 'main' }, options = {}) =>
  cell.call('POST', `/v1/orders/${id}/picks`, { body, ...options })

describe('a parcel', () => {
  it('is picked, packed and shipped; its units leave with it', async () => {
    const order = await placed(3)
    const key = crypto.randomUUID()
    const body = { location: 'main', lines: [units(order.sku, 2)] }
    const picked = await pick(order, body, { key })
    expect(picked.status).toBe(201)
    expect(picked.json).toEqual({
      id: expect.stringMatching(/^shp_eu1_[0-9a-z]{26}$/),
      order_id: order.id,
      status: 'picking',
      carrier: null,
      tracking_number: null,
      lines: [{ ...units(order.sku, 2), location: 'main' }],
      created_at: expect.any(String),
      shipped_at: null,
      delivered_at: null,
    })
    const path = picked.headers.get('location')!
    expect((await cell.call('GET', path)).json).toEqual(picked.json)
    const again = await pick(order, body, { key })
    expect([again.json, again.headers.get('idempotent-replayed')]).toEqual([picked.json, 'true'])
    expect((await cell.call('GET', order.path)).json).toMatchObject({
      fulfilment: { status: 'unfulfilled' },
      lines: [{ shipped_quantity: 0 }],
      shipments: [{ status: 'picking' }],
    })
    expect(await stockOf(order.sku)).toMatchObject({ on_hand: 3, committed: 3 })
    await expectRefused(order, 409, 'shipment_not_packed', () => post(`${path}/ship`, parcel))
    const packed = await post(`${path}/pack`)
    expect([packed.status, packed.json.status]).toEqual([200, 'packed'])
    expect((await post(`${path}/pack`)).json).toEqual(packed.json)
    const shipped = await post(`${path}/ship`, parcel)
    expect([shipped.status, shipped.json]).toEqual([
      200,
      { ...packed.json, ...parcel, status: 'shipped', shipped_at: expect.any(String) },
    ])
    expect(await stockOf(order.sku)).toMatchObject({ on_hand: 1, committed: 1 })
    const rest = await pick(order)
    await post(`/v1/shipments/${rest.json.id}/pack`)
    await post(`/v1/shipments/${rest.json.id}/ship`, parcel)
    expect((await cell.call('GET', order.path)).json).toMatchObject({
      status: 'completed',
      fulfilment: { status: 'fulfilled' },
    })
    expect((await post(`${path}/deliver`)).json.status).toBe('delivered')
  })

  it('is given up, and its units are picked again; with its order it is cancelled', async () => {
    const order = await placed(2)
    const first = (await pick(order)).json
    await expectRefused(order, 409, 'units_in_parcel', () => post(`${order.path}/shipments`, parcel))
    const given = await post(`/v1/shipments/${first.id}/cancel`)
    expect([given.status, given.json.status]).toEqual([200, 'cancelled'])
    const second = (await pick(order)).json
    await post(`/v1/shipments/${second.id}/pack`)
    const cancelled = await post(`${order.path}/cancel`, { reason: 'buyer' })
    expect(cancelled.json).toMatchObject({
      status: 'cancelled',
      shipments: [{ status: 'cancelled' }, { id: second.id, status: 'cancelled' }],
    })
    expect(await stockOf(order.sku)).toMatchObject({ on_hand: 2, committed: 0 })
    await expectRefused(order, 409, 'shipment_cancelled', () => post(`/v1/shipments/${second.id}/ship`, parcel))
  })

  it('that leaves and an order that is cancelled at the same time: exactly one wins', async () => {
    for (let round = 0; round < 6; round++) {
      const order = await placed(1)
      const { id } = (await pick(order)).json
      await post(`/v1/shipments/${id}/pack`)
      const [ship, cancel] = await Promise.all([
        post(`/v1/shipments/${id}/ship`, parcel),
        post(`${order.path}/cancel`, { reason: 'buyer' }),
      ])
      expect([ship.status, cancel.status].sort()).toEqual([200, 409])
      const { json } = await cell.call('GET', order.path)
      expect([json.status, json.shipments[0].status]).toEqual(
        ship.status === 200 ? ['completed', 'shipped'] : ['cancelled', 'cancelled'],
      )
    }
  })

  it('is refused with a code of its own, and nothing changes', async () => {
    const order = await placed(2)
    const refused = (status: number, code: string, body: object) =>
      expectRefused(order, status, code, () => pick(order, body))
    await refused(422, 'quantity_too_large', { location: 'main', lines: [units(order.sku, 3)] })
    await refused(422, 'line_not_found', { location: 'main', lines: [units('elsewhere', 1)] })
    await refused(409, 'nothing_to_ship', { location: 'east' })
    await refused(400, 'invalid_body', {})
    await refused(400, 'invalid_body', { location: 'main', lines: [] })
    await refused(400, 'unknown_field', { location: 'main', carrier: 'post' })
    const { json } = await pick(order, { location: 'main', lines: [units(order.sku, 1)] })
    const path = `/v1/shipments/${json.id}`
    await refused(409, 'units_in_parcel', { location: 'main', lines: [units(order.sku, 2)] })
    const cancelTwo = { reason: 'buyer', lines: [units(order.sku, 1)] }
    expect((await post(`${order.path}/cancel`, cancelTwo)).status).toBe(200)
    await pick(await placed(1)) // another order's parcel is none of ours
    await expectRefused(order, 409, 'shipment_not_shipped', () => post(`${path}/deliver`))
    await expectRefused(order, 400, 'invalid_body', () => post(`${path}/ship`, { carrier: 'post' }))
    await expectRefused(order, 400, 'unknown_field', () => post(`${path}/pack`, { by: 'me' }))
    await expectRefused(order, 412, 'precondition_failed', () =>
      post(`${path}/pack`, undefined, { headers: { 'if-match': '"1"' } }),
    )
    await post(`${path}/pack`)
    await post(`${path}/ship`, parcel)
    for (const step of ['pack', 'cancel'])
      await expectRefused(order, 409, 'shipment_shipped', () => post(`${path}/${step}`))
    await expectRefused(order, 409, 'shipment_shipped', () => post(`${path}/ship`, parcel))
    const nobody = '/v1/shipments/shp_eu1_00000000000000000000000000'
    for (const step of ['pack', 'cancel']) expect((await post(`${nobody}/${step}`)).json.code).toBe('not_found')
    expect((await post(`${nobody}/ship`, parcel)).json.code).toBe('not_found')
  })

  it('is of no unpaid order', async () => {
    const open = await placed(1, {})
    await expectRefused(open, 409, 'order_not_confirmed', () => pick(open))
  })
})

describe('a short pick', () => {
  it('takes as many as there are elsewhere, and gives back the price of the others', async () => {
    const sku = newSku()
    await receive(cell, sku, 4)
    const { json } = await post('/v1/orders', orderBody(sku, 4, { payment: { provider: 'none' } }))
    const order = { sku, id: json.id, path: `/v1/orders/${json.id}` }
    await receive(cell, sku, 1, 'east')
    await receive(cell, sku, 1, 'west')
    const { json: picking } = await pick(order)
    const answer = await post(`${order.path}/short-picks`, { location: 'main', lines: [units(sku, 3)] })
    expect(answer.status).toBe(200)
    expect(answer.json).toMatchObject({
      status: 'confirmed',
      lines: [{ cancelled_quantity: 1 }],
      refunds: [{ amount: { amount: 500, currency: 'EUR' }, status: 'refunded' }],
      shipments: [{ id: picking.id, status: 'picking', lines: [{ quantity: 1, location: 'main' }] }],
    })
    expect(await stockOf(sku)).toMatchObject({ on_hand: 3, committed: 3, available: 0 })
    await post(`/v1/shipments/${picking.id}/pack`)
    await expectRefused(order, 409, 'units_in_parcel', () =>
      post(`${order.path}/short-picks`, { location: 'main', lines: [units(sku, 1)] }),
    )
  })
})

describe('an exchange', () => {
  const exchange = (id: string, body: object, options = {}) =>
    cell.call('POST', `/v1/orders/${id}/exchanges`, { body, ...options })

  it('is a return and an order, each told of the other, made together and once', async () => {
    const order = await placed(2)
    await post(`${order.path}/shipments`, parcel)
    const other = newSku()
    await receive(cell, other, 1)
    const back = { reason: 'too small', lines: [units(order.sku, 1)] }
    const body = { return: back, order: orderBody(other, 1, { payment: { provider: 'none' } }) }
    const key = crypto.randomUUID()
    const made = await exchange(order.id, body, { key })
    expect(made.status).toBe(201)
    expect(made.headers.get('location')).toBe(`/v1/orders/${made.json.order.id}`)
    expect(made.json).toMatchObject({
      order: { status: 'confirmed', exchange_of: { order_id: order.id, return_id: made.json.return.id } },
      return: { status: 'requested', order_id: order.id, exchange_order_id: made.json.order.id },
    })
    const again = await exchange(order.id, body, { key })
    expect([again.status, again.json, again.headers.get('idempotent-replayed')]).toEqual([201, made.json, 'true'])
    expect((await cell.call('GET', made.headers.get('location')!)).json).toEqual(made.json.order)
    const lines = [{ ...units(order.sku, 1), resellable: true }]
    const received = await post(`/v1/returns/${made.json.return.id}/receive`, { lines })
    expect(received.json.exchange_order_id).toBe(made.json.order.id)
    expect((await cell.call('GET', order.path)).json.refunds).toMatchObject([{ amount: { amount: 500 } }])
    const spent = await exchange(order.id, { ...body, return: { ...back, lines: [units(order.sku, 2)] } })
    expect(spent.json).toMatchObject({ status: 409, code: 'not_shipped', errors: [{ pointer: '/return/lines/0' }] })
    await expectRefused(order, 409, 'insufficient_stock', () => exchange(order.id, body))
    const unpriced = { ...body, order: { currency: 'EUR', lines: [units(other, 1)] } }
    const refused = await expectRefused(order, 422, 'price_required', () => exchange(order.id, unpriced))
    expect(refused.json.errors[0].pointer).toBe('/order/lines/0')
    await expectRefused(order, 400, 'invalid_body', () => exchange(order.id, { order: body.order }))
  })
})

type Work = { order_id: string; status: string; location: string; lines: object[]; shipments: { id: string }[] }
const list = async (query = ''): Promise<{ data: Work[]; next_cursor: string | null }> =>
  (await cell.call('GET', `/v1/fulfilment${query}`)).json

describe('the list of work', () => {
  /** At a location of its own. */
  async function orderAt(location: string, quantity: number) {
    const sku = newSku()
    await receive(cell, sku, quantity, location)
    const { json } = await post('/v1/orders', orderBody(sku, quantity, { payment: { provider: 'none' } }))
    return { sku, id: json.id as string, path: `/v1/orders/${json.id}`, json }
  }
  const statuses = async () => (await list('?location=west')).data.map(({ order_id, status }) => [order_id, status])

  it('has confirmed orders by location, oldest first, from their confirmation until all of them has left', async () => {
    await eventually(async () => {
      const { data } = (await cell.call('GET', '/v1/consumers')).json
      return data.find(({ name }: { name: string }) => name === 'fulfilment')?.lag_events === 0
    })
    const before = await statuses()
    const [one, two] = [await orderAt('west', 3), await orderAt('west', 1)]
    await eventually(async () => (await statuses()).length === before.length + 2)
    expect(await statuses()).toEqual([...before, [one.id, 'to_pick'], [two.id, 'to_pick']])
    const { json } = await pick(one, { location: 'west', lines: [units(one.sku, 2)] })
    await eventually(async () => (await list('?location=west&status=picking')).data.length === 1)
    expect((await list('?location=west&status=picking')).data).toEqual([
      {
        order_id: one.id,
        reference: null,
        placed_at: one.json.placed_at,
        location: 'west',
        status: 'to_pick',
        lines: [units(one.sku, 1)],
        shipments: [json],
      },
    ])
    await pick(one, { location: 'west' })
    await post(`/v1/shipments/${json.id}/pack`)
    await eventually(async () => (await list('?location=west&status=packed')).data.length === 1)
    expect((await list('?location=west&status=to_pick')).data.map(({ order_id }) => order_id)).not.toContain(one.id)
    await post(`/v1/shipments/${json.id}/ship`, parcel)
    await post(`${one.path}/cancel`, { reason: 'buyer' })
    await post(`${two.path}/cancel`, { reason: 'buyer' })
    await eventually(async () => (await statuses()).length === before.length)
    await eventually(async () => (await rows()).filter(({ location }) => location === 'west').length === before.length)
  })

  it('goes page by page', async () => {
    const ids: string[] = []
    for (let count = 0; count < 5; count++) ids.push((await orderAt('north', 1)).id)
    await eventually(async () => (await list('?location=north')).data.length === 5)
    const seen: string[] = []
    let cursor: string | null = ''
    for (let pages = 0; cursor !== null; pages++) {
      expect(pages).toBeLessThan(3)
      const page = await list(`?location=north&limit=2${cursor && `&cursor=${cursor}`}`)
      seen.push(...page.data.map(({ order_id }) => order_id))
      cursor = page.next_cursor
    }
    expect(seen).toEqual(ids)
  })

  it('refuses what it does not know', async () => {
    const get = async (query: string, as = 'sk_dev') => {
      const { status, json } = await cell.call('GET', `/v1/fulfilment${query}`, { as })
      return [status, json.code]
    }
    expect(await get('?status=lost')).toEqual([400, 'invalid_parameter'])
    expect(await get('?cursor=nonsense')).toEqual([400, 'cursor_invalid'])
    expect(await get('?order=1')).toEqual([400, 'unknown_field'])
    expect(await get('', 'pk_dev')).toEqual([403, 'forbidden'])
    expect(await list('?location=nowhere')).toEqual({ data: [], next_cursor: null })
  })

  it('is right again after its consumer was rewound to the start, while orders come and go', async () => {
    const ids: string[] = []
    for (let round = 0; round < 4; round++) {
      const orders = await Promise.all([1, 2, 3, 2].map((quantity) => orderAt('south', quantity)))
      const [picked, packed, shipped, open] = orders as [(typeof orders)[0], ...typeof orders]
      expect((await cell.call('POST', '/v1/consumers/fulfilment/rewind', { body: { to: 'start' } })).status).toBe(200)
      await pick(picked, { location: 'south' })
      const { json } = await pick(packed!, { location: 'south', lines: [units(packed!.sku, 1)] })
      await post(`/v1/shipments/${json.id}/pack`)
      await post(`${shipped!.path}/shipments`, parcel)
      ids.push(picked.id, packed!.id, open!.id)
    }
    await caughtUp()
    const before = await rows()
    await cell.call('POST', '/v1/consumers/fulfilment/rewind', { body: { to: 'start' } })
    await caughtUp()
    expect(await rows()).toEqual(before)
    const { data } = await list('?location=south&limit=200')
    expect(data.map(({ order_id }) => order_id)).toEqual(expect.arrayContaining(ids))
    const expected = ids.flatMap((_, at) => [['picking'], ['packed', 'to_pick'], ['to_pick']][at % 3]!)
    const found = before.filter(({ location }) => location === 'south').map(({ status }) => status)
    expect(found.toSorted()).toEqual(expected.toSorted())
  })
})

const rows = () =>
  cell.database.query<{ location: string; status: string; order: string }>(
    'select location, status, order_id::text as order from fulfilment.work order by 1, 2, 3',
  )
const caughtUp = () =>
  eventually(async () => {
    const { data } = (await cell.call('GET', '/v1/consumers')).json
    return data.find((one: { name: string }) => one.name === 'fulfilment').lag_events === 0
  }, 10_000)
