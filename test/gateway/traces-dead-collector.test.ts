// A collector that hangs, refuses or is not there: orders go on as if there were none, and what was not exported is counted.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { type OtlpReceiver, openOtlpReceiver } from '../support/otlp-receiver.ts'

let receiver: OtlpReceiver
let cell: HttpCell
beforeAll(async () => {
  receiver = await openOtlpReceiver()
  cell = await openHttpCell({ otlpEndpoint: receiver.url, traceRatio: 1 })
  await receive(cell, 'A-1', 1_000)
})
afterAll(async () => {
  await cell.stop()
  await receiver.stop()
})

/** The sum over the series that begin so. */
async function metric(of: HttpCell, name: string): Promise<number> {
  const { text } = await of.call('GET', '/metrics')
  const lines = text.split('\n').filter((line) => line.startsWith(name))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

const place = async (of: HttpCell) => (await of.call('POST', '/v1/orders', { body: orderBody('A-1') })).status

describe('a collector', () => {
  it('that refuses costs its spans, which are counted, and no order', async () => {
    receiver.behave('refuse')
    expect(await place(cell)).toBe(201)
    await eventually(async () => (await metric(cell, 'holdfast_trace_exports_failed_total')) > 0, 20_000)
    expect(await metric(cell, 'holdfast_trace_spans_dropped_total')).toBeGreaterThan(0)
    expect(cell.faults.map(({ msg }) => msg)).toContain('traces are not taken by their collector')
  })

  it('that hangs holds up no order', async () => {
    receiver.behave('hang')
    const before = receiver.requests()
    expect(await place(cell)).toBe(201)
    await eventually(() => receiver.requests() > before, 20_000)
    expect(await place(cell)).toBe(201)
  })

  it('that is not there keeps a cell neither from starting nor from ending', async () => {
    const alone = await openHttpCell({ otlpEndpoint: 'http://127.0.0.1:9', traceRatio: 1 })
    await receive(alone, 'A-1', 10)
    expect(await place(alone)).toBe(201)
    await alone.stop()
  })
})
