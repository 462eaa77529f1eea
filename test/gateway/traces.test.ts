// Traces over real sockets, to a receiver of OTLP of the test's own: two cells, an order that is placed in one and lives in the
// other, its batch, its payment. And that nothing of it is told where nobody asked for it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { release } from '../../src/runtime/release.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { type HttpCells, openHttpCells } from '../support/http-cells.ts'
import { type OtlpReceiver, type OtlpSpan, openOtlpReceiver } from '../support/otlp-receiver.ts'

const exportedMsMax = 20_000
const never = { traceRatio: 0 }

let receiver: OtlpReceiver
let all: HttpCells
let [eu1, us1] = [] as unknown as [HttpCell, HttpCell]

beforeAll(async () => {
  receiver = await openOtlpReceiver()
  all = await openHttpCells(['eu1', 'us1'], {}, { otlpEndpoint: receiver.url, ...never })
  ;[eu1, us1] = [all.cells.eu1!, all.cells.us1!]
  for (const cell of [eu1, us1]) await receive(cell, 'A-1', 1_000)
})
afterAll(async () => {
  await all.stop()
  await receiver.stop()
})

let traces = 0
/** The header of a caller whose trace is sampled, or not. */
function caller(isSampled = true) {
  const traceId = (++traces).toString(16).padStart(32, '5')
  return { traceId, headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-0${isSampled ? 1 : 0}` } }
}

const inTrace = (traceId: string): OtlpSpan[] => receiver.spans.filter((span) => span.traceId === traceId)
const named = (spans: readonly OtlpSpan[], name: string): OtlpSpan[] => spans.filter((span) => span.name === name)

describe('a trace', () => {
  it('is one over both cells when an order is placed in the one and lives in the other, down to its provider', async () => {
    const { traceId, headers } = caller()
    const payment = { provider: 'test', method: 'tok_ok' }
    const key = `us1.${crypto.randomUUID()}`
    const placed = await eu1.call('POST', '/v1/orders', {
      ...{ key, body: orderBody('A-1', 1, { payment }), headers: { ...headers, prefer: 'wait=20' } },
    })
    expect(placed.json).toMatchObject({ cell: 'us1', status: 'confirmed' })
    await eventually(() => named(inTrace(traceId), 'POST /v1/orders').length === 2, exportedMsMax)
    await eventually(() => named(inTrace(traceId), 'call a provider').length > 0, exportedMsMax)
    const spans = inTrace(traceId)
    const servers = named(spans, 'POST /v1/orders')
    const [entry, home] = [servers.find((span) => span.cell === 'eu1')!, servers.find((span) => span.cell === 'us1')!]
    const [forward] = named(spans, 'forward')
    expect(entry.parentSpanId).toBe('00f067aa0ba902b7')
    expect([entry.version, home.version]).toEqual([release, release])
    expect(forward).toMatchObject({ parentSpanId: entry.spanId, kind: 3, attributes: { 'holdfast.peer': 'us1' } })
    expect(home).toMatchObject({
      parentSpanId: forward!.spanId,
      kind: 2,
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/v1/orders',
        'holdfast.order_id': placed.json.id,
        'holdfast.request_id': placed.headers.get('x-request-id'),
      },
    })
    expect(Number(home.attributes['http.response.status_code'])).toBe(201)
    expect(named(spans, 'call a provider')[0]).toMatchObject({
      parentSpanId: home.spanId,
      attributes: { 'holdfast.provider': 'test', 'holdfast.call': 'send', 'holdfast.outcome': 'captured' },
    })
  })

  it('is what its batch links to, which has a trace of its own with the calls of the database', async () => {
    const { traceId, headers } = caller()
    await eu1.call('POST', '/v1/orders', { key: `eu1.${crypto.randomUUID()}`, body: orderBody('A-1'), headers })
    const batches = () => receiver.spans.filter(({ links }) => links.some((link) => link.traceId === traceId))
    await eventually(() => batches().length === 1 && inTrace(traceId).length === 1, exportedMsMax)
    const [batch] = batches()
    const [server] = inTrace(traceId)
    expect(batch).toMatchObject({ name: 'batch', links: [{ spanId: server!.spanId }] })
    expect(server!.attributes['holdfast.batch_trace_id']).toBe(batch!.traceId)
    const calls = inTrace(batch!.traceId).filter((span) => span.parentSpanId === batch!.spanId)
    expect(calls.map(({ name }) => name).sort()).toEqual([
      ...['commit', 'lock holds', 'lock orders', 'lock stock', 'look up', 'write'],
    ])
  })

  it('names the template of its route and never an id of its path', async () => {
    const { traceId, headers } = caller()
    await eu1.call('GET', '/v1/orders/ord_eu1_01m83e52mxemrrda1f1s17zv95', { headers })
    await eu1.call('GET', '/v1/nothing-of/jane@example.com', { headers })
    await eventually(() => inTrace(traceId).length === 2, exportedMsMax)
    expect(
      inTrace(traceId)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['GET', 'GET /v1/orders/:id'])
    expect(receiver.text()).not.toContain('jane@example.com')
  })

  it('is not there for a caller who said that his is not sampled, nor where the ratio is 0', async () => {
    const { traceId, headers } = caller(false)
    const later = caller()
    await eu1.call('GET', '/v1/orders', { headers })
    await eu1.call('GET', '/v1/orders')
    await eu1.call('GET', '/v1/orders', { headers: later.headers })
    await eventually(() => inTrace(later.traceId).length === 1, exportedMsMax)
    expect(inTrace(traceId)).toEqual([])
    const begun = receiver.spans.filter(({ name, parentSpanId }) => name === 'GET /v1/orders' && !parentSpanId)
    expect(begun).toEqual([])
  })
})

describe('a ratio of 1', () => {
  it('traces every request of the API, and each page that a consumer takes, but no probes', async () => {
    const cell = await openHttpCell({ otlpEndpoint: receiver.url, traceRatio: 1 }, { name: 'ap1' })
    await receive(cell, 'B-1', 10)
    const placed = await cell.call('POST', '/v1/orders', {
      body: orderBody('B-1', 1, { payment: { provider: 'none' } }),
    })
    expect(placed.status).toBe(201)
    await cell.call('GET', '/metrics')
    const of = (name: string) => receiver.spans.filter((span) => span.cell === 'ap1' && span.name === name)
    await eventually(() => of('POST /v1/orders').length === 1 && of('consume').length > 0, exportedMsMax)
    await cell.stop()
    expect(of('GET /metrics')).toEqual([])
    expect(of('POST /v1/stock/adjustments')).toHaveLength(1)
    expect(of('consume').map(({ attributes }) => attributes['holdfast.consumer'])).toContain('fulfilment')
  })
})
