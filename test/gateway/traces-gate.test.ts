// Of a cell that waits for its standby, the wait is part of the batch's trace.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { type OtlpReceiver, openOtlpReceiver } from '../support/otlp-receiver.ts'
import { type Replicated, startReplicated } from '../support/replicated.ts'

let receiver: OtlpReceiver
let servers: Replicated
let cell: HttpCell
beforeAll(async () => {
  receiver = await openOtlpReceiver()
  servers = await startReplicated({ delayMs: 20 })
  const traced = { durability: 'geo', otlpEndpoint: receiver.url, traceRatio: 1 } as const
  cell = await openHttpCell(traced, { url: servers.primary.url })
  await eventually(async () => (await cell.call('GET', '/readyz')).status === 200, 20_000)
  await receive(cell, 'A', 10)
}, 60_000)
afterAll(async () => {
  await cell.stop()
  await servers.stop()
  await receiver.stop()
})

it('a batch shows how long it waited at the gate, and ends behind it', async () => {
  expect((await cell.call('POST', '/v1/orders', { body: orderBody('A') })).status).toBe(201)
  const named = (name: string) => receiver.spans.filter((span) => span.name === name)
  await eventually(() => named('POST /v1/orders').length === 1 && named('gate').length === 2, 20_000)
  const batches = named('batch').map(({ spanId }) => spanId)
  for (const gate of named('gate')) expect(batches).toContain(gate.parentSpanId)
})
