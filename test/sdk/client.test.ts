// Promises of the client on single calls: one key over all tries, patience with what passes, none with what does not.
import { afterEach, describe, expect, test } from 'vitest'
import { type ClientOptions, createClient, HoldfastError } from '../../sdk/src/client.ts'
import { type Answer, json, problem, type ScriptedServer, startScriptedServer } from './scripted-server.ts'

let server: ScriptedServer | undefined
afterEach(() => server?.stop())

async function clientOf(answer: Answer, options: Partial<ClientOptions> = {}) {
  server = await startScriptedServer(answer)
  const client = createClient({ url: server.url, key: 'sk_dev', backoff: { firstMs: 5, maxMs: 20 }, ...options })
  return { client, asked: server.asked }
}

const order = { currency: 'EUR', lines: [{ sku: 'A-1', quantity: 1, unit_price: { amount: 500, currency: 'EUR' } }] }
const failureOf = (promise: Promise<unknown>): Promise<HoldfastError> =>
  promise.then(
    () => expect.fail('it was answered'),
    (error) => error,
  )

describe('retries', () => {
  test('keep one key and one body over overload, a key in flight, a rate limit and a broken connection', async () => {
    const { client, asked } = await clientOf((_, response, nth) => {
      if (nth === 0) return problem(response, 503, 'overloaded')
      if (nth === 1) return problem(response, 409, 'idempotency_key_in_flight')
      if (nth === 2) return problem(response, 429, 'rate_limited')
      if (nth === 3) return void response.destroy()
      if (nth === 4)
        return void response.writeHead(201, { 'content-length': '100' }).write('{"id":', () => response.destroy())
      json(response, 201, { id: 'ord_eu1_1' }, { 'idempotent-replayed': 'true' })
    })
    const seen: unknown[] = []
    const placed = await client.orders.place(order, {
      onAnswer: ({ status, replayed, attempts }) => seen.push({ status, replayed, attempts }),
    })
    expect(placed).toEqual({ id: 'ord_eu1_1' })
    expect(seen).toEqual([{ status: 201, replayed: true, attempts: 6 }])
    expect(new Set(asked.map((one) => one.headers['idempotency-key'])).size).toBe(1)
    expect(new Set(asked.map((one) => one.body)).size).toBe(1)
  })

  test('wait as long as Retry-After says', async () => {
    const { client } = await clientOf((_, response, nth) =>
      nth === 0 ? problem(response, 503, 'overloaded', { 'retry-after': '1' }) : json(response, 200, { data: [] }),
    )
    const start = performance.now()
    await client.locations.list()
    expect(performance.now() - start).toBeGreaterThanOrEqual(990)
  })

  test('give up at once when Retry-After would pass the deadline', async () => {
    const { client, asked } = await clientOf((_, response) =>
      problem(response, 503, 'overloaded', { 'retry-after': '60' }),
    )
    const error = await failureOf(client.orders.place(order, { deadlineMs: 5_000 }))
    expect(error).toMatchObject({
      name: 'HoldfastError',
      status: 503,
      code: 'overloaded',
      retryAfterMs: 60_000,
      requestId: 'r-1',
    })
    expect(asked).toHaveLength(1)
  })

  test('end at the deadline, with what the last try met', async () => {
    const { client, asked } = await clientOf((_, response) => problem(response, 503, 'unavailable'))
    const error = await failureOf(client.orders.place(order, { deadlineMs: 200 }))
    expect(['unavailable', 'unreachable']).toContain(error.code) // the deadline may cut the last try off
    expect(asked.length).toBeGreaterThan(2)
  })

  test('leave a server that never answers, and say so', async () => {
    const { client, asked } = await clientOf(() => undefined, { attemptMs: 50 })
    const error = await failureOf(client.orders.get('ord_eu1_1', { deadlineMs: 200 }))
    expect(error).toMatchObject({ code: 'unreachable', status: 0 })
    expect(asked.length).toBeGreaterThan(1)
  })

  test('stop with the caller’s signal, for its reason', async () => {
    const stop = new AbortController()
    const { client, asked } = await clientOf((_, response, nth) => {
      problem(response, 503, 'overloaded')
      if (nth === 1) stop.abort(new Error('no longer wanted'))
    })
    await expect(client.orders.place(order, { signal: stop.signal })).rejects.toThrow('no longer wanted')
    expect(asked).toHaveLength(2)
  })
})

describe('refusals', () => {
  test('are thrown once, with code, fields and detail as the server gave them', async () => {
    const errors = [{ pointer: '/lines/0', code: 'insufficient_stock', sku: 'A-1', requested: 2, available: 1 }]
    const { client, asked } = await clientOf((_, response) =>
      json(response, 409, {
        title: 'Not enough units',
        status: 409,
        code: 'insufficient_stock',
        detail: 'A-1 has 1',
        errors,
      }),
    )
    const error = await failureOf(client.orders.place(order))
    expect(error).toBeInstanceOf(HoldfastError)
    expect(error).toMatchObject({ message: 'A-1 has 1', status: 409, code: 'insufficient_stock', errors })
    expect(asked).toHaveLength(1)
  })

  test('of someone else’s server are told apart', async () => {
    const { client } = await clientOf(
      (_, response) => void response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Nothing</h1>'),
    )
    expect(await failureOf(client.stock.get('A-1'))).toMatchObject({ code: 'unexpected_answer', status: 404 })
  })

  test('are what a page in place of JSON is, even with 200', async () => {
    const { client, asked } = await clientOf((_, response) => void response.writeHead(200).end('<h1>Welcome</h1>'))
    const error = await failureOf(client.stock.get('A-1'))
    expect(error).toMatchObject({ code: 'unexpected_answer', status: 200 })
    expect(error.message).toContain('Welcome')
    expect(asked).toHaveLength(1)
  })
})

describe('what is sent', () => {
  test('a random key of its own for each call, which names the cell once that is known', async () => {
    const { client, asked } = await clientOf((_, response) => json(response, 201, { id: 'x' }))
    for (let n = 0; n < 3; n++) await client.orders.place(order)
    const [first, second, third] = asked.map((one) => String(one.headers['idempotency-key']))
    expect(first).toMatch(/^[0-9a-f]{32}$/)
    expect(second).toMatch(/^eu1\.[0-9a-f]{32}$/)
    expect(third).not.toBe(second)
    expect(client.cell()).toBe('eu1')
  })

  test('a key that names the hold’s cell for an order from a hold', async () => {
    const { client, asked } = await clientOf((_, response) => json(response, 201, { id: 'x' }), { cell: 'eu1' })
    await client.orders.place({ ...order, hold_id: 'hld_us1_01jz0000000000000000000000' })
    expect(asked[0]!.headers['idempotency-key']).toMatch(/^us1\./)
  })

  test('the caller’s own key, when there is one', async () => {
    const { client, asked } = await clientOf((_, response) => json(response, 200, { data: [] }))
    await client.stock.adjust([{ sku: 'A-1', delta: 1, reason: 'received' }], { idempotencyKey: 'delivery-7' })
    expect(asked[0]).toMatchObject({ method: 'POST', path: '/v1/stock/adjustments' })
    expect(asked[0]!.headers['idempotency-key']).toBe('delivery-7')
    expect(JSON.parse(asked[0]!.body)).toEqual({ adjustments: [{ sku: 'A-1', delta: 1, reason: 'received' }] })
  })

  test('one visitor per client with a storefront key, none with a server’s', async () => {
    const { client, asked } = await clientOf((_, response) => json(response, 201, { id: 'x' }), { key: 'pk_dev' })
    await client.holds.place({ lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 60 })
    await client.holds.place({ lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 60 })
    const visitors = asked.map((one) => one.headers['holdfast-visitor'])
    expect(visitors[0]).toMatch(/^[!-~]{16,64}$/)
    expect(visitors[1]).toBe(visitors[0])
    await createClient({ url: server!.url, key: 'sk_dev' }).orders.place(order)
    expect(asked[2]!.headers['holdfast-visitor']).toBeUndefined()
  })

  test('SKUs and lists in the path and query as they are, whatever characters they have', async () => {
    const { client, asked } = await clientOf((_, response) => json(response, 200, { data: [] }))
    await client.stock.get('a/b? ü#1')
    await client.stock.list(['A 1', 'B&2'])
    expect(decodeURIComponent(asked[0]!.path)).toBe('/v1/stock/a/b? ü#1')
    expect(asked[0]!.path.split('/')).toHaveLength(4)
    expect(new URL(asked[1]!.path, server!.url).searchParams.getAll('sku')).toEqual(['A 1', 'B&2'])
  })

  test('steps of an order’s life to their routes, each with a key that names the thing’s cell, PATCH without one', async () => {
    const { client, asked } = await clientOf((_, response) => json(response, 200, { id: 'x' }), { cell: 'eu1' })
    const id = 'ord_us1_1'
    const lines = [{ sku: 'A-1', quantity: 1 }]
    const { orders, shipments, returns } = client
    await orders.pay(id, { provider: 'test', method: 'tok_ok' }, { clientSecret: 's', ifMatch: '"3"' })
    await orders.capture(id)
    await orders.refund(id, { lines, reason: 'r' })
    await orders.ship(id, { carrier: 'post', tracking_number: 'T' })
    await orders.shortPick(id, { location: 'main', lines })
    await orders.return(id, { lines, reason: 'r' })
    await orders.approve(id)
    await orders.refuse(id)
    await shipments.deliver('shp_us1_1')
    await returns.receive('ret_us1_1', { lines: [{ ...lines[0]!, resellable: true }] })
    await orders.patch(id, { note: null }, { ifMatch: '"4"' })
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      `POST /v1/orders/${id}/payments`,
      `POST /v1/orders/${id}/capture`,
      `POST /v1/orders/${id}/refunds`,
      `POST /v1/orders/${id}/shipments`,
      `POST /v1/orders/${id}/short-picks`,
      `POST /v1/orders/${id}/returns`,
      `POST /v1/orders/${id}/approve`,
      `POST /v1/orders/${id}/refuse`,
      'POST /v1/shipments/shp_us1_1/deliver',
      'POST /v1/returns/ret_us1_1/receive',
      `PATCH /v1/orders/${id}`,
    ])
    const keys = asked.map(({ headers }) => headers['idempotency-key'])
    for (const key of keys.slice(0, -1)) expect(key).toMatch(/^us1\.[0-9a-f]{32}$/)
    expect(keys.at(-1)).toBeUndefined()
    expect(asked[0]!.headers).toMatchObject({ 'holdfast-client-secret': 's', 'if-match': '"3"' })
    expect(asked.at(-1)!.headers['if-match']).toBe('"4"')
    expect(JSON.parse(asked.at(-1)!.body)).toEqual({ note: null })
    expect(asked[1]!.body).toBe('')
  })

  test('the wish to wait, for which each try has that much more time', async () => {
    const { client, asked } = await clientOf(
      (request, response) => (request.headers.prefer ? json(response, 201, { id: 'ord_eu1_1' }) : undefined),
      { attemptMs: 0, deadlineMs: 0 },
    )
    await client.orders.place(order, { wait: 5 })
    await client.orders.pay('ord_eu1_1', { provider: 'test', method: 'tok_ok' }, { wait: 30 })
    expect(asked.map(({ headers }) => headers.prefer)).toEqual(['wait=5', 'wait=30'])
    expect(await failureOf(client.orders.place(order))).toMatchObject({ code: 'unreachable' })
  })

  test('nothing where nothing is answered', async () => {
    const { client, asked } = await clientOf((_, response) => void response.writeHead(204).end())
    expect(await client.holds.release('hld_eu1_1')).toBeUndefined()
    expect(asked[0]).toMatchObject({ method: 'DELETE', path: '/v1/holds/hld_eu1_1', body: '' })
  })
})
