// POST and GET /v1/orders as API.md fixes them, on a real server with a real database.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HttpCell, openHttpCell, orderBody, receive, visitor } from '../support/http-cell.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 1_000)
  await receive(cell, 'A-2', 1_000)
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

const place = (body: unknown, options = {}) => cell.call('POST', '/v1/orders', { body, ...options })
const full = {
  currency: 'EUR',
  lines: [
    { sku: 'A-1', quantity: 2, unit_price: { amount: 500, currency: 'EUR' } },
    { sku: 'A-2', quantity: 1, unit_price: { amount: 0, currency: 'EUR' } },
  ],
  customer: { email: 'Ann@example.com', external_id: '17850' },
  shipping_address: { name: 'Ann "O" Example', line1: 'Straße 1', city: 'Wien', postal_code: '1010', country: 'AT' },
  payment: { provider: 'none' },
  note: 'two\nlines',
  tags: ['first', 'b2c'],
  metadata: { source: 'till 4' },
}

describe('placing', () => {
  it('answers 201 with the order, where it is, its version, and who answered', async () => {
    const { status, headers, json } = await place({ ...full, reference: 'INV-1' })
    expect(status).toBe(201)
    expect(headers.get('location')).toBe(`/v1/orders/${json.id}`)
    expect(headers.get('etag')).toBe(`"${json.version}"`)
    expect(headers.get('holdfast-cell')).toBe('eu1')
    expect(headers.get('x-request-id')).toMatch(/^\w+-\w+$/)
    expect(headers.has('idempotent-replayed')).toBe(false)
    expect(json).toMatchObject({
      id: expect.stringMatching(/^ord_eu1_[0-9a-z]{26}$/),
      reference: 'INV-1',
      status: 'confirmed',
      cell: 'eu1',
      amounts: {
        items: { amount: 1000, currency: 'EUR' },
        total: { amount: 1000, currency: 'EUR' },
        tax: { amount: 0 },
      },
      payment: { status: 'captured', provider: 'none' },
      fulfilment: { status: 'unfulfilled' },
      customer: full.customer,
      shipping_address: full.shipping_address,
      note: full.note,
      tags: full.tags,
      metadata: full.metadata,
      version: 2,
      expires_at: null,
    })
    expect(json.lines).toMatchObject(full.lines)
    expect(json.lines[0]).toMatchObject({ amount: { amount: 1000 }, allocations: [{ location: 'main', quantity: 2 }] })
  })

  it('reads back, by id and in the list, exactly what placing answered', async () => {
    const placed = await place({ ...full, reference: 'INV-2' })
    const read = await cell.call('GET', `/v1/orders/${placed.json.id}`)
    expect(read.json).toEqual(placed.json)
    expect(read.headers.get('etag')).toBe(placed.headers.get('etag'))
    const listed = await cell.call('GET', '/v1/orders?reference=INV-2')
    expect(listed.json).toEqual({ data: [placed.json], next_cursor: null })
  })

  it('waits pending with its units reserved when nothing is said of payment', async () => {
    const { json } = await place(orderBody('A-1'))
    expect(json).toMatchObject({ status: 'pending', payment: { status: 'none', provider: null }, version: 1 })
    expect(Date.parse(json.expires_at) - Date.parse(json.updated_at)).toBe(15 * 60 * 1000)
  })

  it('refuses what is not there, says how much is, and keeps nothing, not even the key', async () => {
    await receive(cell, 'few', 3)
    const key = crypto.randomUUID()
    const body = { ...orderBody('few', 2), lines: [...orderBody('few', 2).lines, ...orderBody('few', 2).lines] }
    const refused = await place(body, { key })
    expect(refused.status).toBe(409)
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(refused.json).toMatchObject({
      type: '/docs#insufficient_stock',
      status: 409,
      code: 'insufficient_stock',
      errors: [
        { pointer: '/lines/0', sku: 'few', requested: 4, available: 3 },
        { pointer: '/lines/1', sku: 'few', requested: 4, available: 3 },
      ],
    })
    expect((await cell.call('GET', '/v1/stock/few')).json).toMatchObject({ reserved: 0, available: 3 })
    await receive(cell, 'few', 1)
    expect((await place(body, { key })).status).toBe(201)
  })

  it('uses a hold, and releases what is left of it', async () => {
    await receive(cell, 'held', 5)
    const hold = await cell.call('POST', '/v1/holds', {
      body: { lines: [{ sku: 'held', quantity: 5 }], ttl_seconds: 60 },
    })
    expect((await place(orderBody('held', 1))).json.code).toBe('insufficient_stock')
    expect((await place(orderBody('held', 6, { hold_id: hold.json.id }))).json.code).toBe('hold_too_small')
    const order = await place(orderBody('held', 2, { hold_id: hold.json.id }))
    expect(order.json).toMatchObject({ hold_id: hold.json.id, status: 'pending' })
    expect((await cell.call('GET', `/v1/holds/${hold.json.id}`)).json.status).toBe('consumed')
    expect((await cell.call('GET', '/v1/stock/held')).json).toMatchObject({ reserved: 2, available: 3 })
    expect((await place(orderBody('held', 1, { hold_id: hold.json.id }))).json.code).toBe('hold_consumed')
  })

  const price = (amount: number, currency = 'EUR') => ({ amount, currency })
  const line = (more: object) => ({ currency: 'EUR', lines: [{ sku: 'A-1', quantity: 2, ...more }] })
  const unknownHold = 'hld_eu1_01m83e52mxemrrda1f1s17zv95'
  it.each([
    ['an unknown SKU', orderBody('nowhere'), 422, 'sku_not_found', '/lines/0'],
    ['no price at all', line({}), 422, 'price_required', '/lines/0'],
    ['two currencies', line({ unit_price: price(5, 'USD') }), 422, 'currency_mismatch', '/lines/0/unit_price'],
    [
      'a currency nobody knows',
      { ...line({ unit_price: price(5, 'QQQ') }), currency: 'QQQ' },
      422,
      'currency_unknown',
      '/currency',
    ],
    [
      'a country nobody knows',
      orderBody('A-1', 1, { shipping_address: { country: 'QQ' } }),
      422,
      'country_unknown',
      '/shipping_address/country',
    ],
    [
      'an amount that is not the product',
      line({ unit_price: price(5), amount: price(11) }),
      422,
      'amount_mismatch',
      '/lines/0/amount',
    ],
    ['more money than can be charged', line({ unit_price: price(10 ** 12) }), 422, 'amount_too_large', '/lines/0'],
    ['a time to come', orderBody('A-1', 1, { placed_at: '2999-01-01T00:00:00Z' }), 422, 'time_in_future', '/placed_at'],
    ['a hold nobody made', orderBody('A-1', 1, { hold_id: unknownHold }), 422, 'hold_not_found', undefined],
    [
      'a hold of another cell',
      orderBody('A-1', 1, { hold_id: unknownHold.replace('eu1', 'us1') }),
      422,
      'hold_not_found',
      '/hold_id',
    ],
    [
      'a method of payment that nobody knows',
      orderBody('A-1', 1, { payment: { provider: 'test', method: 'tok_unheard_of' } }),
      422,
      'payment_method_unknown',
      '/payment/method',
    ],
    [
      'a payment method of nobody',
      orderBody('A-1', 1, { payment: { provider: 'none', method: 'x' } }),
      422,
      'payment_method_unknown',
      '/payment/method',
    ],
    [
      'an unknown provider',
      orderBody('A-1', 1, { payment: { provider: 'x' } }),
      422,
      'provider_unknown',
      '/payment/provider',
    ],
    ['a customer’s id', orderBody('A-1', 1, { customer: { id: 'cus_1' } }), 422, 'not_available', '/customer/id'],
    ['an unknown field', orderBody('A-1', 1, { colour: 'red' }), 400, 'unknown_field', '/colour'],
    ['a field with a slash', orderBody('A-1', 1, { 'a/b~c': 1 }), 400, 'unknown_field', '/a~1b~0c'],
    ['a number in quotes', line({ quantity: '2', unit_price: price(5) }), 400, 'invalid_body', '/lines/0/quantity'],
    ['a fraction', line({ quantity: 1.5, unit_price: price(5) }), 400, 'invalid_body', '/lines/0/quantity'],
    ['none', line({ quantity: 0, unit_price: price(5) }), 400, 'invalid_body', '/lines/0/quantity'],
    ['no lines', { currency: 'EUR', lines: [] }, 400, 'invalid_body', '/lines'],
    ['31 April', orderBody('A-1', 1, { placed_at: '2020-04-31T00:00:00Z' }), 400, 'invalid_body', '/placed_at'],
    [
      'an e-mail without a host',
      orderBody('A-1', 1, { customer: { email: 'ann' } }),
      400,
      'invalid_body',
      '/customer/email',
    ],
  ])('refuses %s', async (_, body, status, code, pointer) => {
    const answer = await place(body)
    expect(answer.json).toMatchObject({ status, code })
    expect(answer.status).toBe(status)
    if (pointer !== undefined) expect(answer.json.errors[0].pointer).toBe(pointer)
  })

  it('refuses a second order with one reference', async () => {
    expect((await place(orderBody('A-1', 1, { reference: 'once' }))).status).toBe(201)
    expect((await place(orderBody('A-1', 1, { reference: 'once' }))).json).toMatchObject({
      status: 409,
      code: 'reference_taken',
    })
  })

  it('takes an import with its own time and amounts that are no product', async () => {
    const lines = [{ sku: 'A-1', quantity: 3, amount: price(1000) }]
    const { json } = await place({
      currency: 'EUR',
      lines,
      placed_at: '2010-12-01T08:26:00+01:00',
      payment: { provider: 'none' },
    })
    expect(json).toMatchObject({
      placed_at: '2010-12-01T07:26:00.000Z',
      lines: [{ unit_price: null, amount: price(1000) }],
      amounts: { total: price(1000) },
    })
    expect(Date.parse(json.created_at)).toBeGreaterThan(Date.parse('2026-01-01'))
  })

  it('lets a storefront order nothing, since nothing has a catalogue price', async () => {
    const answer = await place(orderBody('A-1'), { as: 'pk_dev' })
    expect(answer.json).toMatchObject({ status: 403, code: 'no_catalogue_price' })
    const unnamed = await place(orderBody('A-1'), { as: 'pk_dev', headers: { 'holdfast-visitor': 'short' } })
    expect(unnamed.json).toMatchObject({ status: 400, code: 'visitor_required' })
  })
})

describe('one key', () => {
  it('makes one order, whatever the spaces and the order of fields, and tells of its present state', async () => {
    const key = crypto.randomUUID()
    const body = orderBody('A-1', 2)
    const first = await place(body, { key })
    const again = await place(`{ "lines": ${JSON.stringify(body.lines)} ,\n "currency":"EUR" }`, { key })
    expect(again.status).toBe(201)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(again.headers.get('location')).toBe(first.headers.get('location'))
    expect(again.json).toEqual(first.json)
    await cell.call('POST', `/v1/orders/${first.json.id}/cancel`, { body: { reason: 'buyer' } })
    expect((await place(body, { key })).json).toMatchObject({ id: first.json.id, status: 'cancelled', version: 2 })
  })

  it('is refused with another body, or on another route', async () => {
    const key = crypto.randomUUID()
    await place(orderBody('A-1', 2), { key })
    expect((await place(orderBody('A-1', 3), { key })).json).toMatchObject({
      status: 422,
      code: 'idempotency_key_reused',
    })
    const hold = { lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 5 }
    expect((await cell.call('POST', '/v1/holds', { body: hold, key })).json.code).toBe('idempotency_key_reused')
  })

  it('sent forty times at once makes one order', async () => {
    const key = crypto.randomUUID()
    const answers = await Promise.all(Array.from({ length: 40 }, () => place(orderBody('A-2', 1), { key })))
    expect(new Set(answers.map(({ json }) => json.id)).size).toBe(1)
    expect(answers.filter(({ headers }) => !headers.has('idempotent-replayed'))).toHaveLength(1)
  })

  it.each([
    ['is missing', null, {}, 'idempotency_key_required'],
    ['is empty', '', {}, 'idempotency_key_required'],
    ['is too long', 'x'.repeat(256), {}, 'idempotency_key_invalid'],
    ['has a space', 'a b', {}, 'idempotency_key_invalid'],
    ['is not ASCII', 'é', {}, 'idempotency_key_invalid'],
  ])('%s: 400', async (_, key, headers, code) => {
    expect((await place(orderBody('A-1'), { key, headers })).json).toMatchObject({ status: 400, code })
  })

  it('of one visitor is not another visitor’s', async () => {
    const body = { lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 60 }
    const key = 'the-same-key'
    const mine = await cell.call('POST', '/v1/holds', { body, key, as: 'pk_dev' })
    const again = await cell.call('POST', '/v1/holds', { body, key, as: 'pk_dev' })
    const theirs = await cell.call('POST', '/v1/holds', {
      body,
      key,
      as: 'pk_dev',
      headers: { 'holdfast-visitor': `${visitor}-2` },
    })
    expect(again.json.id).toBe(mine.json.id)
    expect(theirs.status).toBe(201)
    expect(theirs.json.id).not.toBe(mine.json.id)
  })
})

describe('cancelling', () => {
  it('gives units back by line, then whole, and only once', async () => {
    await receive(cell, 'back', 5)
    const { json: order } = await place(orderBody('back', 5, { payment: { provider: 'none' } }))
    const cancel = (body: object, headers = {}) => cell.call('POST', `/v1/orders/${order.id}/cancel`, { body, headers })
    const some = await cancel(
      { reason: 'buyer', lines: [{ sku: 'back', quantity: 2 }] },
      { 'if-match': `"${order.version}"` },
    )
    expect(some.json).toMatchObject({
      status: 'confirmed',
      lines: [{ cancelled_quantity: 2 }],
      payment: { status: 'partially_refunded' },
    })
    expect((await cancel({ reason: 'buyer' }, { 'if-match': '"2"' })).json).toMatchObject({
      status: 412,
      code: 'precondition_failed',
    })
    expect((await cancel({ reason: 'buyer' }, { 'if-match': 'nonsense' })).json.code).toBe('precondition_failed')
    expect((await cancel({ reason: 'buyer', lines: [{ sku: 'back', quantity: 4 }] })).json.code).toBe(
      'quantity_too_large',
    )
    expect((await cancel({ reason: 'buyer', lines: [{ sku: 'A-1', quantity: 1 }] })).json.code).toBe('line_not_found')
    expect((await cancel({ reason: 'unpaid' })).json).toMatchObject({ status: 400, code: 'invalid_body' })
    const whole = await cancel({ reason: 'merchant' })
    expect(whole.json).toMatchObject({
      status: 'cancelled',
      cancel_reason: 'merchant',
      payment: { status: 'refunded' },
    })
    expect((await cancel({ reason: 'merchant' })).json).toMatchObject({ status: 409, code: 'order_cancelled' })
    expect((await cell.call('GET', '/v1/stock/back')).json).toMatchObject({ available: 5, committed: 0 })
  })
})

describe('reading', () => {
  it('shows a storefront its own order by the secret, without where the units lie', async () => {
    const { json: order } = await place(orderBody('A-1'))
    const read = (headers = {}) => cell.call('GET', `/v1/orders/${order.id}`, { as: 'pk_dev', headers })
    const own = await read({ 'holdfast-client-secret': order.client_secret })
    expect(own.status).toBe(200)
    expect(own.json.id).toBe(order.id)
    expect(own.json.lines[0]).not.toHaveProperty('allocations')
    expect((await read()).json).toMatchObject({ status: 403, code: 'forbidden' })
    expect((await read({ 'holdfast-client-secret': 'guessed' })).status).toBe(404)
  })

  it.each([
    'ord_eu1_01m83e52mxemrrda1f1s17zv95',
    'ord_us1_01m83e52mxemrrda1f1s17zv95',
    'hld_eu1_01m83e52mxemrrda1f1s17zv95',
    'x',
    '%00',
    '%E2%82%AC',
  ])('answers 404 for %s', async (id) => {
    for (const path of [`/v1/orders/${id}`, `/v1/orders/${id}/events`]) {
      expect((await cell.call('GET', path)).json).toMatchObject({ status: 404, code: 'not_found' })
    }
    const cancelled = await cell.call('POST', `/v1/orders/${id}/cancel`, { body: { reason: 'buyer' } })
    expect(cancelled.status).toBe(404)
  })

  it('lists newest first, page by page, none twice and none left out', async () => {
    const customer = { external_id: 'reader' }
    const placed: string[] = []
    for (let nth = 0; nth < 7; nth++) placed.push((await place(orderBody('A-1', 1, { customer }))).json.id)
    const listed: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { json } = await cell.call('GET', `/v1/orders?customer=reader&limit=3${cursor && `&cursor=${cursor}`}`)
      expect(json.data.length).toBeLessThanOrEqual(3)
      listed.push(...json.data.map(({ id }: { id: string }) => id))
      cursor = json.next_cursor
    }
    expect(listed).toEqual(placed.toReversed())
  })

  it('finds by status, e-mail without regard to case, and time', async () => {
    const before = new Date(Date.now() - 1).toISOString()
    const { json: order } = await place(orderBody('A-1', 1, { customer: { email: 'Case@Example.org' } }))
    const list = async (query: string) =>
      (await cell.call('GET', `/v1/orders?email=case@example.ORG&${query}`)).json.data
    expect((await list('status=pending'))[0].id).toBe(order.id)
    expect(await list('status=confirmed')).toEqual([])
    expect(await list(`created_after=${before}`)).toHaveLength(1)
    expect(await list(`created_before=${before}`)).toEqual([])
    expect(await list(`created_after=${order.created_at}`)).toEqual([])
  })

  it.each([
    ['status=lost', 400, 'invalid_parameter'],
    ['limit=0', 400, 'invalid_parameter'],
    ['limit=201', 400, 'invalid_parameter'],
    ['limit=ten', 400, 'invalid_parameter'],
    ['limit=1&limit=2', 400, 'invalid_parameter'],
    ['page=2', 400, 'unknown_field'],
    ['cursor=zzz', 400, 'cursor_invalid'],
    ['created_after=yesterday', 400, 'invalid_parameter'],
  ])('refuses ?%s', async (query, status, code) => {
    expect((await cell.call('GET', `/v1/orders?${query}`)).json).toMatchObject({ status, code })
  })

  it('tells an order’s history, oldest first, in pages', async () => {
    const { json: order } = await place(orderBody('A-1', 1, { payment: { provider: 'none' } }))
    await cell.call('POST', `/v1/orders/${order.id}/cancel`, { body: { reason: 'fraud' } })
    const first = await cell.call('GET', `/v1/orders/${order.id}/events?limit=2`)
    expect(first.json.data.map(({ type }: { type: string }) => type)).toEqual(['order.placed', 'order.confirmed'])
    const rest = await cell.call('GET', `/v1/orders/${order.id}/events?cursor=${first.json.next_cursor}`)
    expect(rest.json).toMatchObject({
      data: [
        {
          specversion: '1.0',
          type: 'order.cancelled',
          subject: order.id,
          subjectversion: 3,
          data: { reason: 'fraud' },
        },
        { type: 'payment.refunded', subjectversion: 4, data: { amount: 500, provider: 'none' } },
      ],
      next_cursor: null,
    })
  })
})
