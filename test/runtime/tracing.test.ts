// Which traces are sampled, what a caller's header means, and that what waits for a collector is bounded.
import { describe, expect, it } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { prng } from '../../src/base/prng.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { openMetrics } from '../../src/runtime/metrics.ts'
import { hexId, readTraceparent, sampler, traceparentText } from '../../src/runtime/trace-context.ts'
import { openTracing } from '../../src/runtime/tracing.ts'
import { eventually } from '../support/eventually.ts'
import { openOtlpReceiver } from '../support/otlp-receiver.ts'

const [traceId, spanId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
const quiet = { info: () => {}, warn: () => {} }
const tracingTo = (endpoint: string | undefined, metrics = openMetrics()) =>
  openTracing({ endpoint, ratio: 1, cell: 'eu1', clock: systemClock, metrics, log: quiet })

describe('a traceparent', () => {
  it('is read as it is written', () => {
    for (const isSampled of [true, false]) {
      const parent = { traceId, spanId, isSampled }
      expect(readTraceparent(traceparentText(parent))).toEqual(parent)
    }
  })

  it('of a later version counts, as far as it is known; what is malformed counts as none', () => {
    expect(readTraceparent(`cc-${traceId}-${spanId}-03-more`)).toEqual({ traceId, spanId, isSampled: true })
    const malformed = [
      ...[`ff-${traceId}-${spanId}-01`, `00-${traceId}-${spanId}-01-more`, `00-${traceId.toUpperCase()}-${spanId}-01`],
      ...[`00-${'0'.repeat(32)}-${spanId}-01`, `00-${traceId}-${'0'.repeat(16)}-01`, '', undefined, 7],
    ]
    for (const header of malformed) expect(readTraceparent(header)).toBeUndefined()
  })
})

describe('a sampler', () => {
  const drawsOf = (ratio: number, seed: number) => {
    const random = prng(seed)
    return Array.from(
      { length: 20_000 },
      sampler(ratio, () => random.next()),
    )
  }

  it('takes the share that it was told, none at 0 and all at 1', () => {
    const taken = (ratio: number) => drawsOf(ratio, 7).filter((id) => id !== null).length
    expect([taken(0), taken(1)]).toEqual([0, 20_000])
    expect(taken(0.1)).toBeGreaterThan(1_800)
    expect(taken(0.1)).toBeLessThan(2_200)
  })

  it('takes by the trace’s id, so that others with the same ratio decide alike', () => {
    for (const id of drawsOf(0.1, 7)) {
      if (id === null) continue
      expect(id).toMatch(/^[0-9a-f]{32}$/)
      expect(Number.parseInt(id.slice(18, 31), 16) / 2 ** 52).toBeGreaterThanOrEqual(0.9)
    }
  })
})

describe('tracing', () => {
  it('is not there without an endpoint', async () => {
    expect(await tracingTo(undefined)).toBeNull()
  })

  it('drops what does not fit into its queue, and counts it', async () => {
    const receiver = await openOtlpReceiver()
    receiver.behave('hang')
    const metrics = openMetrics()
    const tracing = (await tracingTo(receiver.url, metrics))!
    for (let at = 0; at < limits.traceSpansQueuedMax + 10; at++) tracing.sample('work', {})!.end()
    expect(await metrics.text()).toContain('holdfast_trace_spans_dropped_total{why="queue_full"} 10')
    await tracing.stop()
    await receiver.stop()
  })

  it('sends what is left when it stops, in the trace of the caller', async () => {
    const receiver = await openOtlpReceiver()
    const tracing = (await tracingTo(receiver.url))!
    const caller = { traceId, spanId, isSampled: true }
    const span = tracing.serve(caller, () => ({ name: 'GET /v1/orders', attributes: {} }))!
    const child = span.child('forward', { 'holdfast.peer': 'us1' }, 'client')
    expect(readTraceparent(child.traceparent)).toMatchObject({ traceId, isSampled: true })
    child.end('PeerUnreachable')
    span.end()
    const notAsked = () => expect.unreachable()
    expect(tracing.serve({ ...caller, isSampled: false }, notAsked)).toBeNull()
    await tracing.stop()
    await eventually(() => receiver.spans.length === 2)
    expect(receiver.spans.map(({ name, isError }) => [name, isError])).toEqual([
      ['forward', true],
      ['GET /v1/orders', false],
    ])
    expect(receiver.spans[0]!.attributes['error.type']).toBe('PeerUnreachable')
    await receiver.stop()
  })
})

describe('an id', () => {
  it('is never all zeros, which would be none', () => {
    expect(hexId(16, () => 0)).toBe('0000000000000001')
  })
})
