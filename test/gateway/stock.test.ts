// Stock, locations and holds as API.md fixes them, on a real server with a real database.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

const adjust = (adjustments: object[], options = {}) =>
  cell.call('POST', '/v1/stock/adjustments', { body: { adjustments }, ...options })
const level = async (sku: string) => (await cell.call('GET', `/v1/stock/${encodeURIComponent(sku)}`)).json

describe('adjusting', () => {
  it('answers the sums of each SKU in the order given, whatever was given twice', async () => {
    const { status, json } = await adjust([
      { sku: 'B', delta: 5, reason: 'received' },
      { sku: 'A', delta: 7, reason: 'received' },
      { sku: 'B', delta: -2, reason: 'damaged' },
    ])
    expect(status).toBe(200)
    expect(json.data).toMatchObject([
      { sku: 'B', on_hand: 3, reserved: 0, committed: 0, available: 3 },
      { sku: 'A', on_hand: 7 },
      { sku: 'B', on_hand: 3 },
    ])
  })

  it('sums over locations', async () => {
    await cell.call('PUT', '/v1/locations/second', { body: { name: 'Second' } })
    await receive(cell, 'spread', 10)
    expect((await receive(cell, 'spread', 5, 'second')).json.data).toMatchObject([
      { sku: 'spread', on_hand: 15, available: 15 },
    ])
    expect(await level('spread')).toMatchObject({
      on_hand: 15,
      cells: [{ cell: 'eu1', on_hand: 15, available: 15 }],
      locations: [
        { location: 'main', on_hand: 10, available: 10 },
        { location: 'second', on_hand: 5, available: 5 },
      ],
    })
  })

  it('does all or nothing', async () => {
    const refused = await adjust([
      { sku: 'half', delta: 5, reason: 'received' },
      { sku: 'half', delta: -6, reason: 'correction' },
    ])
    expect(refused.json).toMatchObject({
      status: 409,
      code: 'insufficient_stock',
      errors: [{ pointer: '/adjustments/1' }],
    })
    expect((await cell.call('GET', '/v1/stock/half')).status).toBe(404)
  })

  it('with one key happens once, and tells of the SKUs as they are now', async () => {
    const key = crypto.randomUUID()
    const body = [{ sku: 'keyed', delta: 5, reason: 'received' }]
    await adjust(body, { key })
    await receive(cell, 'keyed', 1)
    const again = await adjust(body, { key })
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.json.data).toMatchObject([{ sku: 'keyed', on_hand: 6 }])
  })

  it('ignores a count older than the last, and says so', async () => {
    const newer = { sku: 'counted', set: 9, as_of: '2026-05-01T00:00:00Z', reason: 'counted' }
    await adjust([newer])
    const { json } = await adjust([{ ...newer, set: 3, as_of: '2026-04-30T00:00:00Z' }])
    expect(json.data).toMatchObject([{ sku: 'counted', on_hand: 9, ignored: true }])
  })

  it('books a count that finds too little: what is missing is short, and nothing more is sold', async () => {
    await receive(cell, 'short', 5)
    await cell.call('POST', '/v1/orders', { body: orderBody('short', 4) })
    expect((await adjust([{ sku: 'short', delta: -3, reason: 'correction' }])).json.code).toBe('insufficient_stock')
    expect((await adjust([{ sku: 'short', set: 1, reason: 'counted' }])).json.data).toMatchObject([
      { on_hand: 1, available: 0, short: 3 },
    ])
    expect(await level('short')).toMatchObject({ on_hand: 1, reserved: 4, available: 0, short: 3 })
  })

  const one = (more: object) => ({ sku: 'bad', delta: 1, reason: 'received', ...more })
  it.each([
    ['neither delta nor set', { sku: 'bad', reason: 'received' }, 400, 'invalid_body', '/adjustments/0'],
    ['both delta and set', one({ set: 1 }), 400, 'invalid_body', '/adjustments/0'],
    ['as_of with delta', one({ as_of: '2026-01-01T00:00:00Z' }), 400, 'invalid_body', '/adjustments/0'],
    ['a reason nobody knows', one({ reason: 'gift' }), 400, 'invalid_body', '/adjustments/0/reason'],
    ['a count by receipt', { sku: 'bad', set: 1, reason: 'received' }, 422, 'reason_mismatch', '/adjustments/0/reason'],
    [
      'a count to come',
      { sku: 'bad', set: 1, reason: 'counted', as_of: '2999-01-01T00:00:00Z' },
      422,
      'time_in_future',
      '/adjustments/0/as_of',
    ],
    ['a location nobody made', one({ location: 'moon' }), 422, 'location_not_found', '/adjustments/0'],
    ['too many units', one({ delta: 10 ** 12 + 1 }), 400, 'invalid_body', '/adjustments/0/delta'],
    ['a control character', one({ sku: 'a\nb' }), 400, 'invalid_body', '/adjustments/0/sku'],
    ['a SKU too long', one({ sku: 'x'.repeat(129) }), 400, 'invalid_body', '/adjustments/0/sku'],
    ['NUL', one({ sku: 'a\0' }), 400, 'invalid_body', '/adjustments/0/sku'],
    ['half a character', one({ sku: 'a\ud800' }), 400, 'invalid_body', '/adjustments/0/sku'],
  ])('refuses %s', async (_, adjustment, status, code, pointer) => {
    expect((await adjust([adjustment])).json).toMatchObject({ status, code, errors: [{ pointer }] })
    expect((await cell.call('GET', '/v1/stock/bad')).status).toBe(404)
  })

  it('refuses more than fit one row together', async () => {
    const most = { sku: 'brim', delta: 10 ** 12, reason: 'received' }
    expect((await adjust([most, most])).json).toMatchObject({ status: 422, code: 'units_too_large' })
  })

  it('takes ten thousand at once, and not one more', async () => {
    const many = Array.from({ length: 10_000 }, (_, nth) => ({ sku: `many-${nth % 50}`, delta: 1, reason: 'received' }))
    expect((await adjust(many)).json.data).toHaveLength(10_000)
    expect((await adjust([...many, many[0]!])).json).toMatchObject({ status: 400, code: 'invalid_body' })
  })
})

describe('reading', () => {
  it.each(['ä/ö %?#', '日本', "it's; drop", ' lead', '\u{1f600}'])('finds a SKU named %j', async (sku) => {
    await receive(cell, sku, 3)
    expect(await level(sku)).toMatchObject({ sku, on_hand: 3 })
    const listed = await cell.call(
      'GET',
      `/v1/stock?${new URLSearchParams([
        ['sku', sku],
        ['sku', 'not there'],
      ])}`,
    )
    expect(listed.json.data).toMatchObject([{ sku }])
  })

  it('takes up to 200 SKUs, in the order asked for', async () => {
    await adjust(['z', 'y', 'x'].map((sku) => ({ sku, delta: 1, reason: 'received' })))
    const asked = await cell.call('GET', '/v1/stock?sku=z&sku=x&sku=y')
    expect(asked.json.data.map(({ sku }: { sku: string }) => sku)).toEqual(['z', 'x', 'y'])
    const many = Array.from({ length: 201 }, (_, nth) => `sku=s${nth}`)
    expect((await cell.call('GET', `/v1/stock?${many.slice(1).join('&')}`)).status).toBe(200)
    expect((await cell.call('GET', `/v1/stock?${many.join('&')}`)).json).toMatchObject({
      status: 400,
      code: 'invalid_parameter',
    })
    expect((await cell.call('GET', '/v1/stock')).json).toMatchObject({
      status: 400,
      errors: [{ pointer: '/sku', code: 'required', in: 'query' }],
    })
  })

  it('lets a storefront read stock, and change none', async () => {
    await receive(cell, 'shown', 1)
    expect((await cell.call('GET', '/v1/stock/shown', { as: 'pk_dev' })).status).toBe(200)
    const change = { body: { adjustments: [{ sku: 'shown', delta: 1, reason: 'received' }] }, as: 'pk_dev' }
    expect((await cell.call('POST', '/v1/stock/adjustments', change)).json).toMatchObject({
      status: 403,
      code: 'forbidden',
    })
  })
})

describe('policies', () => {
  const policy = (sku: string, body: object, headers = {}) =>
    cell.call('PUT', `/v1/stock/${sku}/policy`, { body, headers })

  it('grant an allowance beyond what is there, under a version', async () => {
    await receive(cell, 'back-order', 1)
    const set = await policy('back-order', { allowance: 2 })
    expect(set.json).toEqual({
      sku: 'back-order',
      tracking: 'counted',
      allowance: 2,
      regions: null,
      group: null,
      version: 1,
    })
    expect(set.headers.get('etag')).toBe('"1"')
    expect(await level('back-order')).toMatchObject({ on_hand: 1, allowance: 2, available: 3 })
    expect((await policy('back-order', { allowance: 5 }, { 'if-match': '"7"' })).json.code).toBe('precondition_failed')
    expect(
      (await policy('back-order', { regions: ['eu'], group: 'event-7' }, { 'if-match': '"1"' })).json,
    ).toMatchObject({ regions: ['eu'], group: 'event-7', version: 2 })
    expect((await cell.call('GET', '/v1/stock/back-order/policy')).json).toMatchObject({
      allowance: 0,
      group: 'event-7',
    })
    expect((await cell.call('GET', '/v1/stock/none/policy')).status).toBe(404)
  })

  it('let a SKU sell uncounted', async () => {
    expect((await policy('download', { tracking: 'none' })).status).toBe(200)
    expect((await cell.call('POST', '/v1/orders', { body: orderBody('download', 1_000_000) })).status).toBe(201)
    expect(await level('download')).toMatchObject({ tracking: 'none', available: 10 ** 12 })
  })

  it('name a SKU in the path as strictly as in a body', async () => {
    expect((await policy('a%0Ab', {})).json).toMatchObject({ status: 400, code: 'invalid_parameter' })
    expect((await policy('x'.repeat(129), {})).json).toMatchObject({ status: 400, code: 'invalid_parameter' })
  })
})

describe('locations', () => {
  it('are made and changed under a version, and `main` is always there', async () => {
    const put = (body: object, headers = {}) => cell.call('PUT', '/v1/locations/wien', { body, headers })
    const made = await put({
      name: 'Wien',
      cell: 'eu1',
      priority: 3,
      address: { city: 'Wien', country: 'AT' },
      lat: 48.2,
      lon: 16.4,
    })
    expect(made.json).toEqual({
      code: 'wien',
      name: 'Wien',
      cell: 'eu1',
      priority: 3,
      address: { city: 'Wien', country: 'AT' },
      lat: 48.2,
      lon: 16.4,
      version: 1,
    })
    expect((await put({ name: 'Vienna' }, { 'if-match': '"1"' })).json).toMatchObject({
      name: 'Vienna',
      address: null,
      version: 2,
    })
    expect((await put({ name: 'Vienna' }, { 'if-match': '"1"' })).json).toMatchObject({ status: 412 })
    const codes = (await cell.call('GET', '/v1/locations')).json.data.map(({ code }: { code: string }) => code)
    expect(codes).toContain('main')
    expect(codes).toContain('wien')
  })

  it.each([
    ['another cell', { name: 'X', cell: 'us1' }, 422, 'cell_not_found'],
    ['a country nobody knows', { name: 'X', address: { country: 'QQ' } }, 422, 'country_unknown'],
    ['a place off the map', { name: 'X', lat: 91 }, 400, 'invalid_body'],
    ['no name', {}, 400, 'invalid_body'],
  ])('refuse %s', async (_, body, status, code) => {
    expect((await cell.call('PUT', '/v1/locations/refused', { body })).json).toMatchObject({ status, code })
  })
})

describe('holds', () => {
  const hold = (sku: string, quantity: number, ttl = 60, options = {}) =>
    cell.call('POST', '/v1/holds', { body: { lines: [{ sku, quantity }], ttl_seconds: ttl }, as: 'pk_dev', ...options })

  it('reserve units for a storefront until they are released', async () => {
    await receive(cell, 'seat', 2)
    const { status, headers, json } = await hold('seat', 2)
    expect(status).toBe(201)
    expect(headers.get('location')).toBe(`/v1/holds/${json.id}`)
    expect(json).toMatchObject({
      id: expect.stringMatching(/^hld_eu1_/),
      status: 'active',
      lines: [{ sku: 'seat', quantity: 2 }],
    })
    expect((await hold('seat', 1)).json).toMatchObject({ status: 409, code: 'insufficient_stock' })
    const path = `/v1/holds/${json.id}`
    expect((await cell.call('GET', path, { as: 'pk_dev' })).json).toEqual(json)
    const longer = await cell.call('POST', `${path}/extend`, { body: { ttl_seconds: 600 }, as: 'pk_dev' })
    expect(Date.parse(longer.json.expires_at)).toBeGreaterThan(Date.parse(json.expires_at) + 500_000)
    const released = await cell.call('DELETE', path, { as: 'pk_dev' })
    expect([released.status, released.text]).toEqual([204, ''])
    expect((await cell.call('DELETE', path)).status).toBe(204)
    expect((await cell.call('POST', `${path}/extend`, { body: { ttl_seconds: 5 } })).json).toMatchObject({
      status: 409,
      code: 'hold_released',
    })
    expect(await level('seat')).toMatchObject({ available: 2, reserved: 0 })
  })

  it('end when their time is over, and their units are sold again within a second', async () => {
    await receive(cell, 'soon', 1)
    const { json } = await hold('soon', 1, 1)
    const path = `/v1/holds/${json.id}`
    await eventually(async () => (await cell.call('GET', path)).json.status === 'expired')
    expect((await cell.call('POST', `${path}/extend`, { body: { ttl_seconds: 5 } })).json).toMatchObject({
      status: 409,
      code: 'hold_expired',
    })
    expect((await cell.call('POST', '/v1/orders', { body: orderBody('soon') })).status).toBe(201)
    expect(Date.now() - Date.parse(json.expires_at)).toBeLessThan(1_000)
  })

  it('are 404 when there is none', async () => {
    for (const id of ['hld_eu1_01m83e52mxemrrda1f1s17zv95', 'ord_eu1_01m83e52mxemrrda1f1s17zv95', 'x']) {
      expect((await cell.call('GET', `/v1/holds/${id}`)).status).toBe(404)
      expect((await cell.call('DELETE', `/v1/holds/${id}`)).status).toBe(404)
      expect((await cell.call('POST', `/v1/holds/${id}/extend`, { body: { ttl_seconds: 5 } })).status).toBe(404)
    }
  })
})
