// API.md, Manner: keys, idempotency keys, errors, limits, headers, and what a later version brings, on a real server.
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createClient } from '../../sdk/src/client.ts'
import {
  type AskOptions,
  eur,
  lineOf,
  newKey,
  newSku,
  paidOrder,
  problemOf,
  stocked,
  useServer,
} from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { runHoldfast } from '../support/holdfast.ts'

const server = useServer()

describe('bodies', () => {
  const line = { sku: 'S', quantity: 1, unit_price: eur(1) }
  const order = { currency: 'EUR', lines: [line] }
  const withLine = (change: object) => ({ ...order, lines: [{ ...line, ...change }] })

  test.each([
    ['an unknown field', { ...order, colour: 'red' }, 'unknown_field', '/colour'],
    ['an unknown field inside', withLine({ colour: 'red' }), 'unknown_field', '/lines/0/colour'],
    ['text for a number', withLine({ quantity: '1' }), 'invalid_body', '/lines/0/quantity'],
    ['a truth for a number', withLine({ quantity: true }), 'invalid_body', '/lines/0/quantity'],
    ['null for a number', withLine({ quantity: null }), 'invalid_body', '/lines/0/quantity'],
    ['a number for text', withLine({ sku: 1 }), 'invalid_body', '/lines/0/sku'],
    ['a fraction of a unit', withLine({ quantity: 1.5 }), 'invalid_body', '/lines/0/quantity'],
    ['a fraction of a cent', withLine({ unit_price: eur(0.5) }), 'invalid_body', '/lines/0/unit_price/amount'],
    ['negative money', withLine({ unit_price: eur(-1) }), 'invalid_body', '/lines/0/unit_price/amount'],
    ['more than 10^12', withLine({ unit_price: eur(1e12 + 1) }), 'invalid_body', '/lines/0/unit_price/amount'],
    ['a number too large to be one', withLine({ quantity: 1e300 }), 'invalid_body', '/lines/0/quantity'],
    ['a missing field', { lines: [line] }, 'invalid_body', '/currency'],
    ['a currency in small letters', { ...order, currency: 'eur' }, 'invalid_body', '/currency'],
    [
      'an address without a country',
      { ...order, shipping_address: { city: 'Ulm' } },
      'invalid_body',
      '/shipping_address/country',
    ],
    ['a time that is none', { ...order, placed_at: '2026-02-30T00:00:00Z' }, 'invalid_body', '/placed_at'],
    ['a time without a zone', { ...order, placed_at: '2026-02-03T00:00:00' }, 'invalid_body', '/placed_at'],
    [
      '51 keys of metadata',
      { ...order, metadata: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [n, ''])) },
      'invalid_body',
      '/metadata',
    ],
    ['501 characters of metadata', { ...order, metadata: { a: 'x'.repeat(501) } }, 'invalid_body', '/metadata/a'],
    ['a list for an object', [order], 'invalid_body', ''],
  ])('with %s are 400, and say where', async (_, body, code, pointer) => {
    const reply = await server.ask('POST /v1/orders', { body })
    expect(reply).toMatchObject({ status: 400, body: { status: 400, code, errors: [{ pointer }] } })
    expect(reply.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  })

  test.each([
    ['broken JSON', '{"currency":', 400, 'invalid_json'],
    ['nothing', '', 400, 'invalid_json'],
    ['a member twice', '{"currency":"EUR","currency":"USD","lines":[]}', 400, 'invalid_json'],
    ['a NUL', '{"currency":"EUR","lines":[],"note":"a\\u0000b"}', 400, 'invalid_body'],
    ['half a surrogate', '{"currency":"EUR","lines":[],"note":"\\ud800"}', 400, 'invalid_body'],
    ['a hundred nested lists', `${'['.repeat(100)}${']'.repeat(100)}`, 400, 'invalid_json'],
    ['more than 256 KiB', JSON.stringify({ note: 'x'.repeat(256 * 1024) }), 413, 'body_too_large'],
  ])('of %s are refused', async (_, body, status, code) => {
    expect(await server.ask('POST /v1/orders', { body })).toMatchObject({ status, body: { code } })
  })

  test('of another type than JSON are 415', async () => {
    for (const type of ['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'application/x-ndjson']) {
      const reply = await server.ask('POST /v1/orders', { body: '{}', headers: { 'content-type': type } })
      expect(reply, type).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
    }
  })
})

describe('keys', () => {
  test.each([[null], ['sk_wrong'], ['pk_wrong'], ['']])('without a valid one (%j) it is 401', async (key) => {
    const reply = await server.ask('GET /v1/orders', { key })
    expect(reply).toMatchObject({ status: 401, body: { code: 'unauthorized' } })
    expect(reply.headers.get('www-authenticate')).toBe('Bearer')
    expect(
      (await server.ask('GET /v1/orders', { key: null, headers: { authorization: 'Basic c2tfZGV2' } })).status,
    ).toBe(401)
  })

  test('that were issued may what their scopes say, until they are revoked', async () => {
    const command = async (...args: string[]) =>
      JSON.parse(
        (await runHoldfast(['keys', ...args, `--data=${server.data}`, '--json'])).stdout.trim().split('\n').at(-1)!,
      )
    const sku = await stocked(server.sk, 5)
    const { secret: key, key: issued } = await command('create', '--name=till', '--scopes=orders:write')
    expect(key).toMatch(/^sk_test_/)
    const place = (more: object) => server.ask('POST /v1/orders', { key, body: { ...paidOrder(lineOf(sku)), ...more } })
    expect(await place({})).toMatchObject({ status: 201 })
    // Times and amounts of one's own need the scope import.
    expect(await place({ placed_at: '2020-01-01T00:00:00Z' })).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    })
    expect(await place({ lines: [{ sku, quantity: 1, amount: eur(1) }] })).toMatchObject({ status: 403 })
    expect(await server.ask('GET /v1/orders', { key })).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    expect(await server.ask(`GET /v1/stock/${sku}`, { key })).toMatchObject({ status: 403 })
    await command('revoke', issued.id)
    await eventually(async () => (await place({})).status === 401, 10_000)
  })

  const visitor = { 'holdfast-visitor': 'v'.repeat(16) }

  test('pk_ reads stock, holds and gives back; it orders at catalogue prices only, of which there are none yet', async () => {
    const sku = await stocked(server.sk, 5)
    const pk = createClient({ url: server.url, key: 'pk_dev' })
    expect(await pk.stock.get(sku)).toMatchObject({ available: 5 })
    const hold = await pk.holds.place({ lines: [{ sku, quantity: 1 }], ttl_seconds: 60 })
    expect(await pk.holds.get(hold.id)).toMatchObject({ status: 'active' })
    await pk.holds.release(hold.id)
    expect(await problemOf(pk.orders.place(paidOrder(lineOf(sku))))).toMatchObject({
      status: 403,
      code: 'no_catalogue_price',
    })
    expect(await server.sk.stock.get(sku)).toMatchObject({ reserved: 0, committed: 0 })
  })

  test('pk_ may neither change stock nor see orders, events or the audit', async () => {
    const forbidden = { status: 403, body: { code: 'forbidden' } }
    const ask = (target: string, options: AskOptions = {}) =>
      server.ask(target, { key: 'pk_dev', headers: visitor, ...options })
    const adjustments = [{ sku: 'S', delta: 1, reason: 'received' }]
    expect(await ask('POST /v1/stock/adjustments', { body: { adjustments } })).toMatchObject(forbidden)
    expect(await ask('PUT /v1/stock/S/policy', { body: {} })).toMatchObject(forbidden)
    expect(await ask('PUT /v1/locations/x', { body: { name: 'x' } })).toMatchObject(forbidden)
    for (const path of ['/v1/orders', '/v1/events', '/v1/audit'])
      expect(await ask(`GET ${path}`)).toMatchObject(forbidden)
  })

  test('pk_ reads back the order whose secret it has, and no other', async () => {
    const sku = await stocked(server.sk, 5)
    const [own, other] = [
      await server.sk.orders.place(paidOrder(lineOf(sku))),
      await server.sk.orders.place(paidOrder(lineOf(sku))),
    ]
    const pk = createClient({ url: server.url, key: 'pk_dev' })
    const read = await pk.orders.get(own.id, { clientSecret: own.client_secret })
    expect(read).toMatchObject({ id: own.id, status: 'confirmed' })
    expect(read.lines[0]).not.toHaveProperty('allocations') // where units lie is the shop's business
    expect(await problemOf(pk.orders.get(other.id, { clientSecret: own.client_secret }))).toMatchObject({ status: 404 })
    expect(await problemOf(pk.orders.get(own.id))).toMatchObject({ status: 403 })
  })

  test('pk_ names its visitor, and visitors do not share idempotency keys', async () => {
    const sku = await stocked(server.sk, 5)
    const idempotencyKey = newKey()
    const hold = (headers: Record<string, string>) =>
      server.ask('POST /v1/holds', {
        key: 'pk_dev',
        idempotencyKey,
        headers,
        body: { lines: [{ sku, quantity: 1 }], ttl_seconds: 60 },
      })
    expect(await hold({})).toMatchObject({ status: 400, body: { code: 'visitor_required' } })
    for (const name of ['short', 'x'.repeat(65), 'with a space in it']) {
      expect(await hold({ 'holdfast-visitor': name })).toMatchObject({
        status: 400,
        body: { code: 'visitor_required' },
      })
    }
    const [a, again, b] = [
      await hold({ 'holdfast-visitor': 'a'.repeat(64) }),
      await hold({ 'holdfast-visitor': 'a'.repeat(64) }),
      await hold({ 'holdfast-visitor': 'b'.repeat(64) }),
    ]
    expect([a.status, again.status, b.status]).toEqual([201, 201, 201])
    expect(again.body.id).toBe(a.body.id)
    expect(b.body.id).not.toBe(a.body.id)
  })
})

describe('an idempotency key', () => {
  const posts: [string, object][] = [
    ['POST /v1/orders', paidOrder(lineOf('S'))],
    ['POST /v1/holds', { lines: [{ sku: 'S', quantity: 1 }], ttl_seconds: 1 }],
    ['POST /v1/stock/adjustments', { adjustments: [{ sku: 'S', delta: 1, reason: 'received' }] }],
    [`POST /v1/orders/ord_eu1_${'0'.repeat(26)}/cancel`, { reason: 'buyer' }],
    [`POST /v1/holds/hld_eu1_${'0'.repeat(26)}/extend`, { ttl_seconds: 1 }],
  ]
  test.each(posts)('is required: %s', async (target, body) => {
    expect(await server.ask(target, { idempotencyKey: null, body })).toMatchObject({
      status: 400,
      body: { code: 'idempotency_key_required' },
    })
  })

  test('is 1 to 255 visible ASCII characters, and may name the cell', async () => {
    const sku = await stocked(server.sk, 10)
    const send = (idempotencyKey: string) =>
      server.ask('POST /v1/orders', { idempotencyKey, body: paidOrder(lineOf(sku)) })
    for (const key of ['!', '~'.repeat(255), `eu1.${newKey()}`]) expect((await send(key)).status, key).toBe(201)
    for (const key of ['x'.repeat(256), 'a b', 'é']) {
      expect(await send(key)).toMatchObject({ status: 400, body: { code: 'idempotency_key_invalid' } })
    }
  })
})

describe('answers', () => {
  test('all have a request id, and name the cell', async () => {
    const replies = [
      await server.ask('GET /healthz'),
      await server.ask('GET /v1/orders'),
      await server.ask('GET /v1/orders/nothing'),
      await server.ask('POST /v1/orders', { body: '{' }),
      await server.ask('GET /nowhere'),
      await server.ask('GET /v1/orders', { key: null }),
    ]
    const ids = replies.map(({ headers }) => headers.get('x-request-id'))
    expect(new Set(ids).size).toBe(replies.length)
    expect(ids.every((id) => id !== null && id.length > 3)).toBe(true)
    expect(replies.map(({ headers }) => headers.get('holdfast-cell'))).toEqual(replies.map(() => 'eu1'))
  })

  test('that refuse are problems of RFC 9457, never a page and never a stack trace', async () => {
    const replies = [
      await server.ask('GET /nowhere'),
      await server.ask('DELETE /v1/orders'),
      await server.ask(`GET /v1/stock/${'x'.repeat(3_000)}`),
      await server.ask('GET /v1/stock/%ff'),
      await server.ask('GET /v1/orders?limit=-1'),
    ]
    for (const { status, headers, body, text } of replies) {
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(body).toMatchObject({
        type: expect.any(String),
        title: expect.any(String),
        code: expect.any(String),
        status,
      })
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
      expect(text).not.toMatch(/<html|node_modules|at .*\.ts:\d/)
    }
    expect(replies[1]!.headers.get('allow')).toBe('GET, HEAD, POST')
  })

  test('come even to what is not HTTP', async () => {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    socket.write('HELLO\r\n\r\n')
    let text = ''
    for await (const chunk of socket) text += chunk
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(text).toContain('application/problem+json')
    expect(text).toContain('"code":"malformed_request"')
  })

  test('tell versions by ETag', async () => {
    const sku = await stocked(server.sk, 5)
    const order = await server.ask('POST /v1/orders', { body: paidOrder(lineOf(sku)) })
    expect(order.headers.get('etag')).toBe(`"${order.body.version}"`)
    const read = await server.ask(`GET /v1/orders/${order.body.id}`)
    expect(read.headers.get('etag')).toBe(order.headers.get('etag'))
  })
})

describe('what a later version brings', () => {
  const later = ['carts', 'products', 'customers', 'waiting-rooms', 'events-for-sale', 'stays']
  test.each(later)('is not found as a route: /v1/%s', async (name) => {
    for (const target of [`GET /v1/${name}`, `POST /v1/${name}`]) {
      const body = target.startsWith('GET') ? undefined : {}
      expect(await server.ask(target, { body })).toMatchObject({ status: 404, body: { code: 'not_found' } })
    }
  })

  test('is not in the OpenAPI document', async () => {
    const { body } = await server.ask('GET /openapi.json', { key: null })
    expect(body.openapi).toMatch(/^3\.1\./)
    const paths = Object.keys(body.paths)
    expect(paths).toContain('/v1/orders/{id}/payments')
    expect(paths.filter((path) => later.some((name) => path.startsWith(`/v1/${name}`)))).toEqual([])
  })
})

test('health, readiness, metrics and the human description need no key', async () => {
  expect(await server.ask('GET /healthz', { key: null })).toMatchObject({ status: 200 })
  expect(await server.ask('GET /readyz', { key: null })).toMatchObject({ status: 200, body: { reasons: [] } })
  const metrics = await server.ask('GET /metrics', { key: null })
  expect(metrics.text).toMatch(/^# HELP holdfast_/m)
  const docs = await server.ask('GET /docs', { key: null })
  expect(docs.headers.get('content-type')).toMatch('text/html')
  expect(docs.text.replace(/https?:\/\/127\.0\.0\.1[^"'\s]*/g, '')).not.toMatch(/(src|href)=["']https?:/)
})

test('the audit sums what came and went', async () => {
  const before = await server.sk.audit({ fresh: true })
  const sku = newSku()
  await server.sk.stock.adjust([
    { sku, delta: 10, reason: 'received' },
    { sku, delta: 2, reason: 'returned' },
    { sku, delta: -1, reason: 'lost' },
  ])
  await server.sk.orders.place(paidOrder(lineOf(sku, 4)))
  await server.sk.holds.place({ lines: [{ sku, quantity: 3 }], ttl_seconds: 600 })
  const after = await server.sk.audit({ fresh: true })
  expect(after).toMatchObject({ consistent: true, differences: [], position: expect.any(String) })
  const moved = Object.entries(after.sums).map(([name, sum]) => [
    name,
    sum - before.sums[name as keyof typeof before.sums],
  ])
  expect(Object.fromEntries(moved)).toEqual({
    received: 10,
    returned: 2,
    corrections: -1,
    on_hand: 11,
    reserved: 3,
    committed: 4,
    shipped: 0,
    in_flight: 0,
    transferred: 0,
  })
})
