// The bulk endpoints: lines in, lines out, in order, in bounded memory, and what becomes of bad lines and broken connections.
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 1_000_000)
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

// biome-ignore lint/suspicious/noExplicitAny: tests read what was answered and fail when it is not there
type Line = any

async function bulk(
  path: string,
  body: string,
  as = 'sk_dev',
): Promise<{ status: number; lines: Line[]; text: string }> {
  const headers = { authorization: `Bearer ${as}`, 'content-type': 'application/x-ndjson' }
  const answer = await fetch(cell.url + path, { method: 'POST', headers, body })
  const text = await answer.text()
  const lines =
    answer.status === 200
      ? text
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line))
      : []
  return { status: answer.status, lines, text }
}

const line = (key: string, more: object = {}) => JSON.stringify({ idempotency_key: key, ...orderBody('A-1'), ...more })

describe('POST /v1/orders/bulk', () => {
  it('answers each line in order, the good and the bad', async () => {
    const lines = [
      line('b1', { reference: 'bulk-1' }),
      '{broken',
      line('b2', { colour: 'red' }),
      '',
      line('b3', { lines: orderBody('nowhere').lines }),
      JSON.stringify(orderBody('A-1')),
      '"text"',
      line('b4', { metadata: { long: 'x'.repeat(limits.bulkLineBytesMax) } }),
      '\r',
      line('b5', { reference: 'bulk-1' }),
      line('b6', { payment: { provider: 'test' } }),
      line('b7'),
    ]
    const answers = (await bulk('/v1/orders/bulk', lines.join('\n'))).lines
    expect(answers.map(({ status, problem }) => [status, problem?.code])).toEqual([
      [201, undefined],
      [400, 'invalid_json'],
      [400, 'unknown_field'],
      [422, 'sku_not_found'],
      [400, 'idempotency_key_required'],
      [400, 'invalid_body'],
      [413, 'body_too_large'],
      [409, 'reference_taken'],
      [422, 'payment_method_unknown'],
      [201, undefined],
    ])
    expect(answers[0].order).toEqual((await cell.call('GET', `/v1/orders/${answers[0].order.id}`)).json)
  })

  it('repeats what a single order began, and the other way round', async () => {
    const one = await cell.call('POST', '/v1/orders', { body: orderBody('A-1'), key: 'either-way' })
    const again = (await bulk('/v1/orders/bulk', `${line('either-way')}\n`)).lines
    expect(again).toEqual([{ status: 201, replayed: true, order: one.json }])
    expect((await bulk('/v1/orders/bulk', line('either-way', { note: 'x' }))).lines).toMatchObject([
      { status: 422, problem: { code: 'idempotency_key_reused' } },
    ])
  })

  it('sent again whole makes nothing twice', async () => {
    const body = Array.from({ length: 3_000 }, (_, nth) => line(`whole-${nth}`)).join('\n')
    const count = async () =>
      (await cell.database.query<{ n: number }>('select count(*) as n from orders.states'))[0]!.n
    const first = (await bulk('/v1/orders/bulk', body)).lines
    const made = await count()
    const second = (await bulk('/v1/orders/bulk', body)).lines
    expect(await count()).toBe(made)
    expect(second.map(({ order }) => order)).toEqual(first.map(({ order }) => order))
    expect(second.every(({ replayed }) => replayed === true)).toBe(true)
  })

  it('cuts lines wherever the bytes were cut', async () => {
    const bytes = Buffer.from(Array.from({ length: 40 }, (_, nth) => line(`cut-${nth}`, { note: 'ä€😀' })).join('\n'))
    let at = 0
    const body = new ReadableStream({
      pull(controller) {
        const size = 1 + ((at * 7) % 23)
        if (at >= bytes.length) return controller.close()
        controller.enqueue(bytes.subarray(at, at + size))
        at += size
      },
    })
    const headers = { authorization: 'Bearer sk_dev', 'content-type': 'application/x-ndjson' }
    const answer = await fetch(`${cell.url}/v1/orders/bulk`, {
      method: 'POST',
      headers,
      body,
      duplex: 'half',
    } as RequestInit)
    const answers = (await answer.text())
      .split('\n')
      .slice(0, -1)
      .map((text) => JSON.parse(text))
    expect(answers.map(({ order }) => order?.note)).toEqual(Array(40).fill('ä€😀'))
  })

  it('reads no faster than its answers are read', async () => {
    let sent = 0
    const request = httpRequest(`${cell.url}/v1/orders/bulk`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk_dev', 'content-type': 'application/x-ndjson' },
    })
    const total = 60_000
    const pad = 'x'.repeat(400)
    /** Sends until the server takes no more. */
    const pump = (): void => {
      while (sent < total) if (!request.write(`${line(`pad-${sent++}`, { note: pad })}\n`)) return
      request.end()
    }
    request.on('drain', pump)
    const response = new Promise<import('node:http').IncomingMessage>((resolve) => request.on('response', resolve))
    pump()
    const answer = await response // its body is not read
    let before = -1
    await eventually(() => {
      const stalled = sent === before
      before = sent
      return stalled
    }, 20_000)
    expect(sent).toBeLessThan(total)
    request.on('error', () => {}) // we cut it
    answer.destroy()
  })

  it('needs its own content type, and a key that may', async () => {
    const wrong = await cell.call('POST', '/v1/orders/bulk', { body: orderBody('A-1'), key: null })
    expect(wrong.json).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    expect((await bulk('/v1/orders/bulk', line('x'), 'pk_dev')).status).toBe(403)
  })

  it('keeps answering in order when the engine’s commands do not', async () => {
    await receive(cell, 'scarce', 10)
    const lines = Array.from({ length: 400 }, (_, nth) =>
      line(`mixed-${nth}`, { lines: orderBody(nth % 3 ? 'A-1' : 'scarce').lines, reference: `mixed-${nth}` }),
    )
    const { lines: answers } = await bulk('/v1/orders/bulk', lines.join('\n'))
    const references = answers.flatMap(({ order }) => (order ? [order.reference] : []))
    expect(references).toEqual(references.toSorted((a, b) => Number(a.slice(6)) - Number(b.slice(6))))
    expect(answers).toHaveLength(400)
    expect((await cell.call('GET', '/v1/stock/scarce')).json).toMatchObject({ reserved: 10, available: 0 })
  })
})

describe('POST /v1/stock/bulk', () => {
  it('takes whole requests and single adjustments, each with its key', async () => {
    const lines = [
      {
        idempotency_key: 's1',
        adjustments: [
          { sku: 'S-1', delta: 2, reason: 'received' },
          { sku: 'S-2', delta: 3, reason: 'received' },
        ],
      },
      { idempotency_key: 's2', sku: 'S-1', delta: 5, reason: 'received' },
      { idempotency_key: 's3', sku: 'S-1', delta: -50, reason: 'correction' },
      { idempotency_key: 's4', sku: 'S-1', reason: 'received' },
      { sku: 'S-1', delta: 5, reason: 'received' },
      { idempotency_key: 's2', sku: 'S-1', delta: 5, reason: 'received' },
    ]
    const answers = (await bulk('/v1/stock/bulk', lines.map((one) => JSON.stringify(one)).join('\n'))).lines
    expect(answers.map(({ status, problem, replayed }) => [status, problem?.code, replayed])).toEqual([
      [200, undefined, undefined],
      [200, undefined, undefined],
      [409, 'insufficient_stock', undefined],
      [400, 'invalid_body', undefined],
      [400, 'idempotency_key_required', undefined],
      [200, undefined, true],
    ])
    expect(answers[0].data).toMatchObject([
      { sku: 'S-1', on_hand: 2 },
      { sku: 'S-2', on_hand: 3 },
    ])
    expect(answers[5].data).toMatchObject([{ sku: 'S-1', on_hand: 7 }])
  })
})

describe('the end of a server', () => {
  it('answers the lines it has read and then cuts, so that nobody takes them for all', async () => {
    const ending = await openHttpCell()
    await receive(ending, 'A-1', 100)
    const request = httpRequest(`${ending.url}/v1/orders/bulk`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk_dev', 'content-type': 'application/x-ndjson' },
    })
    request.write(`${line('drain-1')}\n`)
    const response = await new Promise<import('node:http').IncomingMessage>((resolve) =>
      request.on('response', resolve),
    )
    let text = ''
    response.on('data', (chunk) => {
      text += chunk
    })
    await eventually(() => text.endsWith('\n'))
    const cut = new Promise((resolve) => response.on('error', resolve))
    request.on('error', () => {}) // the same cut
    await ending.stop()
    expect(await cut).toMatchObject({ code: 'ECONNRESET' })
    expect(JSON.parse(text)).toMatchObject({ status: 201 })
  })
})
