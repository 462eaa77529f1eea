// What a cell asks another on behalf of a traced request is found in that request's trace, at both ends.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { orderBody, receive } from '../support/http-cell.ts'
import { type OtlpReceiver, openOtlpReceiver } from '../support/otlp-receiver.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

let receiver: OtlpReceiver
let all: TalkingCells
beforeAll(async () => {
  receiver = await openOtlpReceiver()
  all = await openTalkingCells(['eu1', 'us1'], {}, { otlpEndpoint: receiver.url, traceRatio: 0 })
})
afterAll(async () => {
  await all.stop()
  await receiver.stop()
})

it('an order that lacks units shows the ask, and the peer that answered it', async () => {
  const { eu1, us1 } = all.cells
  await receive(eu1!, 'A-1', 100)
  const headers = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }
  const isThere = async () => (await us1!.call('GET', '/v1/stock/A-1')).status === 200
  await eventually(isThere, 20_000)
  const key = `us1.${crypto.randomUUID()}`
  expect((await us1!.call('POST', '/v1/orders', { key, body: orderBody('A-1', 90), headers })).status).toBe(201)
  const found = (name: string) => receiver.spans.find((span) => span.name === name && span.traceId.startsWith('4bf92f'))
  const names = ['POST /v1/orders', 'ask a peer', 'POST /peer/v1/:message']
  await eventually(() => names.every((name) => found(name) !== undefined), 20_000)
  expect(found('ask a peer')).toMatchObject({
    cell: 'us1',
    parentSpanId: found('POST /v1/orders')!.spanId,
    attributes: { 'holdfast.peer': 'eu1', 'holdfast.message': 'ask' },
  })
  expect(found('POST /peer/v1/:message')).toMatchObject({ cell: 'eu1', parentSpanId: found('ask a peer')!.spanId })
})
