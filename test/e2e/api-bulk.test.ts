// API.md, bulk: NDJSON both ways on a real server. A line is answered when it is durable, so a broken connection leaves a
// prefix done, and sending everything again is harmless.
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import type { BulkOrder } from '../../sdk/src/client.ts'
import { lineOf, newKey, newSku, paidOrder, stocked, useServer } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'

const server = useServer()

const ndjson = { 'content-type': 'application/x-ndjson' }
const lines = (items: unknown[]): string => items.map((item) => `${JSON.stringify(item)}\n`).join('')
const answersIn = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of source) all.push(item)
  return all
}

describe('10,000 orders', () => {
  test('through the SDK are answered in order, each once; all of them again are the same orders', async () => {
    const sku = await stocked(server.sk, 10_000)
    const run = newKey()
    const orders: BulkOrder[] = Array.from({ length: 10_000 }, (_, n) => ({
      ...paidOrder(lineOf(sku, 1, n)),
      idempotency_key: `${run}-${n}`,
    }))
    const first = await collect(server.sk.orders.bulk(orders))
    expect(first.map(({ status }) => status)).toEqual(orders.map(() => 201))
    expect(first.map(({ order }) => order!.amounts.total.amount)).toEqual(orders.map((_, n) => n))
    expect(new Set(first.map(({ order }) => order!.id)).size).toBe(10_000)
    expect(await server.sk.stock.get(sku)).toMatchObject({ committed: 10_000, available: 0 })

    const again = await collect(server.sk.orders.bulk(orders))
    expect(again.map(({ order }) => order!.id)).toEqual(first.map(({ order }) => order!.id))
    expect(again.every(({ replayed }) => replayed)).toBe(true)
    expect(await server.sk.stock.get(sku)).toMatchObject({ committed: 10_000 })
  })

  test('of which the connection breaks half-way: a prefix is done, and a resend makes the rest', async () => {
    const sku = await stocked(server.sk, 10_000)
    const run = newKey()
    const orders = Array.from({ length: 10_000 }, (_, n) => ({
      ...paidOrder(lineOf(sku)),
      metadata: { n: String(n) },
      customer: { external_id: run },
      idempotency_key: `${run}-${n}`,
    }))
    const told = await sendAndBreak(lines(orders), 2_000)
    expect(told.length).toBeGreaterThanOrEqual(2_000)
    const made = () => server.sk.stock.get(sku).then(({ committed }) => committed)
    // What was taken before the break is still on its way; it has settled when nothing has come for a while.
    let before = await made()
    let since = Date.now()
    await eventually(async () => {
      const now = await made()
      if (now !== before) since = Date.now()
      before = now
      return Date.now() - since > 500
    })
    expect(before).toBeGreaterThanOrEqual(told.length)
    expect(before).toBeLessThan(10_000)
    const numbers: number[] = []
    for (let cursor: string | undefined; ; ) {
      const page = await server.sk.orders.list({ customer: run, limit: 200, cursor })
      numbers.push(...page.data.map(({ metadata }) => Number(metadata.n)))
      if (page.next_cursor === null) break
      cursor = page.next_cursor
    }
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: before }, (_, n) => n))

    const reply = await server.ask('POST /v1/orders/bulk', {
      headers: ndjson,
      idempotencyKey: null,
      body: lines(orders),
    })
    const answers = answersIn(reply.text)
    expect(answers).toHaveLength(10_000)
    expect(answers.every(({ status }) => status === 201)).toBe(true)
    expect(answers.filter(({ replayed }) => replayed)).toHaveLength(before)
    expect(answers.slice(0, told.length).map(({ order }) => order.id)).toEqual(told.map(({ order }) => order.id))
    expect(await made()).toBe(10_000)
  })
})

/** Sends lines and destroys the connection after so many answers. */
function sendAndBreak(body: string, afterAnswers: number): Promise<{ order: { id: string } }[]> {
  let text = ''
  return new Promise((resolve) => {
    const call = request(`${server.url}/v1/orders/bulk`, {
      method: 'POST',
      headers: { ...ndjson, authorization: 'Bearer sk_dev' },
    })
    call.on('error', () => {}) // ours: we broke it
    call.on('close', () => resolve(answersIn(text.slice(0, text.lastIndexOf('\n') + 1))))
    call.on('response', (response) => {
      response.on('error', () => {})
      response.on('data', (chunk: Buffer) => {
        text += chunk
        if (text.split('\n').length > afterAnswers) call.destroy()
      })
    })
    call.end(body)
  })
}

test('an answer comes when its line is durable, while the request is still being written', async () => {
  const sku = await stocked(server.sk, 10)
  const call = request(`${server.url}/v1/orders/bulk`, {
    method: 'POST',
    headers: { ...ndjson, authorization: 'Bearer sk_dev' },
  })
  const answers: { status: number }[] = []
  let ended = false
  call.on('response', (response) => {
    response.on('end', () => {
      ended = true
    })
    createInterface({ input: response }).on('line', (line) => answers.push(JSON.parse(line)))
  })
  for (let count = 1; count <= 3; count++) {
    call.write(lines([{ ...paidOrder(lineOf(sku)), idempotency_key: newKey() }]))
    await eventually(() => answers.length === count)
    expect(await server.sk.stock.get(sku)).toMatchObject({ committed: count })
  }
  expect(ended).toBe(false)
  call.end()
  await eventually(() => ended)
})

test('a line that is refused is an answer like the others, and its neighbours stand', async () => {
  const sku = await stocked(server.sk, 3)
  const key = newKey()
  const text = [
    JSON.stringify({ ...paidOrder(lineOf(sku, 2)), idempotency_key: key }),
    JSON.stringify({ ...paidOrder(lineOf(sku, 2)), idempotency_key: newKey() }),
    '{"currency":',
    JSON.stringify({ ...paidOrder(lineOf(sku, 1)), idempotency_key: key }),
    JSON.stringify(paidOrder(lineOf(sku))),
    JSON.stringify({ ...paidOrder(lineOf(sku)), colour: 'red', idempotency_key: newKey() }),
    JSON.stringify({ ...paidOrder(lineOf(newSku())), idempotency_key: newKey() }),
    JSON.stringify({ ...paidOrder(lineOf(sku)), note: 'x'.repeat(300_000), idempotency_key: newKey() }),
    JSON.stringify({ ...paidOrder(lineOf(sku, 1)), idempotency_key: newKey() }),
  ].join('\n')
  const reply = await server.ask('POST /v1/orders/bulk', { headers: ndjson, idempotencyKey: null, body: text })
  expect(reply.status).toBe(200)
  expect(reply.headers.get('content-type')).toMatch('application/x-ndjson')
  expect(answersIn(reply.text)).toMatchObject([
    { status: 201, order: { status: 'confirmed', lines: [{ sku, quantity: 2 }] } },
    {
      status: 409,
      problem: { code: 'insufficient_stock', errors: [{ pointer: '/lines/0', sku, requested: 2 }] },
    },
    { status: 400, problem: { code: 'invalid_json' } },
    { status: 422, problem: { code: 'idempotency_key_reused' } },
    { status: 400, problem: { code: 'idempotency_key_required' } },
    { status: 400, problem: { code: 'unknown_field', errors: [{ pointer: '/colour' }] } },
    { status: 422, problem: { code: 'sku_not_found' } },
    { status: 413, problem: { code: 'body_too_large' } },
    { status: 201 },
  ])
  expect(await server.sk.stock.get(sku)).toMatchObject({ committed: 3, available: 0 })
})

test('a line and POST /v1/orders under its key are one order', async () => {
  const sku = await stocked(server.sk, 5)
  const body = paidOrder(lineOf(sku))
  const key = newKey()
  const single = await server.ask('POST /v1/orders', { idempotencyKey: key, body })
  const [line] = await collect(server.sk.orders.bulk([{ ...body, idempotency_key: key }]))
  expect(line).toMatchObject({ status: 201, replayed: true, order: { id: single.body.id } })
  expect(await server.sk.stock.get(sku)).toMatchObject({ committed: 1 })
})

test('stock in bulk moves units once, however often its lines are sent', async () => {
  const run = newKey()
  const skus = Array.from({ length: 100 }, () => newSku())
  const items = Array.from({ length: 2_000 }, (_, n) => ({
    adjustments: [{ sku: skus[n % 100]!, delta: 1, reason: 'received' as const }],
    idempotency_key: `${run}-${n}`,
  }))
  for (const replayed of [undefined, true]) {
    const answers = await collect(server.sk.stock.bulk(items))
    expect(answers.map(({ status }) => status)).toEqual(items.map(() => 200))
    expect(answers.every((answer) => answer.replayed === replayed)).toBe(true)
    expect(answers.map(({ data }) => data![0]!.sku)).toEqual(items.map(({ adjustments }) => adjustments[0]!.sku))
    const { data } = await server.sk.stock.list(skus)
    expect(data.map(({ on_hand }) => on_hand)).toEqual(skus.map(() => 20))
  }
})

test('bulk takes lines of JSON and nothing else, from keys that may', async () => {
  const body = lines([{ ...paidOrder(lineOf('any')), idempotency_key: newKey() }])
  const send = (more: object) =>
    server.ask('POST /v1/orders/bulk', { idempotencyKey: null, body, headers: ndjson, ...more })
  expect(await send({ headers: {} })).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } })
  expect(await send({ key: null })).toMatchObject({ status: 401 })
  expect(await send({ key: 'pk_dev' })).toMatchObject({ status: 403 })
})

test('the books are right after all of it', async () => {
  expect(await server.sk.audit({ fresh: true })).toMatchObject({ consistent: true, differences: [] })
})
