// Events carry the span of the request that they came of, from a batch with others, through the log, to whoever reads them.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

const link = 'http://127.0.0.1:16686/trace/{trace_id}'
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const ofTrace = new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`)

let cell: HttpCell

beforeAll(async () => {
  cell = await openHttpCell({ otlpEndpoint: 'http://127.0.0.1:9', traceRatio: 0, traceLink: link })
  await receive(cell, 'A-1', 100)
})
afterAll(() => cell.stop())

const place = async (isSampled: boolean): Promise<string> => {
  const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-0${isSampled ? 1 : 0}` }
  const placed = await cell.call('POST', '/v1/orders', { key: crypto.randomUUID(), body: orderBody('A-1'), headers })
  expect(placed.status).toBe(201)
  return placed.json.id
}

type Told = { subject: string; type: string; traceparent?: string }

test('an event tells the span of its own request, and one that was not sampled tells none', async () => {
  const placed = await Promise.all(Array.from({ length: 20 }, (_, at) => place(at % 3 === 0)))
  let data: Told[] = []
  await eventually(async () => {
    data = (await cell.call('GET', '/v1/events?types=order.placed&limit=100')).json.data
    return data.length === placed.length
  })
  const spans = placed.map((id) => data.find(({ subject }) => subject === id)!.traceparent)
  spans.forEach((span, at) => {
    if (at % 3 === 0) expect(span).toMatch(ofTrace)
    else expect(span).toBeUndefined()
  })
  const sampled = spans.filter((span) => span !== undefined)
  expect(new Set(sampled).size).toBe(sampled.length) // each its own, though they shared batches
})

test('what a traced cancellation tells is of its trace, and what was told before it is not', async () => {
  const id = await place(false)
  const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }
  await cell.call('POST', `/v1/orders/${id}/cancel`, {
    key: crypto.randomUUID(),
    body: { reason: 'buyer' },
    headers,
  })
  const { data } = (await cell.call('GET', `/v1/orders/${id}/events`)).json as { data: Told[] }
  const told = data.map(({ type, traceparent }) => [type, traceparent])
  expect(told).toEqual([
    ['order.placed', undefined],
    ['order.cancelled', expect.stringMatching(ofTrace)],
  ])
})

test('the session tells where traces are looked at', async () => {
  expect((await cell.call('GET', '/v1/session')).json.trace_link).toBe(link)
})
