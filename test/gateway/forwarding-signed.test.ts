// What cells say to each other about a forwarded request counts under a signature only, which covers all of it. Two cells are
// ours; a third, `ap1`, is a server that does as a test says.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type HttpCell, orderBody, receive } from '../support/http-cell.ts'
import { type HttpCells, openHttpCells } from '../support/http-cells.ts'

let all: HttpCells
let [eu1, us1] = [] as unknown as [HttpCell, HttpCell]
let play: (request: IncomingMessage, response: ServerResponse) => void
const far = createServer((request, response) => play(request, response))
const farOrder = '/v1/orders/ord_ap1_01m83e52mxemrrda1f1s17zv95'

beforeAll(async () => {
  await new Promise<void>((resolve) => far.listen(0, '127.0.0.1', resolve))
  all = await openHttpCells(['eu1', 'us1'], { ap1: `http://127.0.0.1:${(far.address() as AddressInfo).port}` })
  ;[eu1, us1] = [all.cells.eu1!, all.cells.us1!]
  for (const cell of [eu1, us1]) await receive(cell, 'A-1', 1_000)
})
afterAll(async () => {
  expect([...eu1.faults, ...us1.faults]).toEqual([])
  far.closeAllConnections()
  far.close()
  await all.stop()
})

let keys = 0
const newKey = (cell?: string): string => `${cell === undefined ? '' : `${cell}.`}key-${++keys}`

describe('what cells say to each other', () => {
  const path = farOrder
  const hops = (count: number | string) => ({ 'holdfast-hops': String(count), authorization: 'Bearer sk_dev' })
  const signed = (to: string, path: string, count: number | string) =>
    all.signed('us1', to, 'GET', path, { headers: hops(count) })

  it('counts under a signature only', async () => {
    const asClient = await eu1.call('GET', '/v1/orders', { headers: hops(1) })
    expect(asClient.json).toMatchObject({ code: 'peer_signature_invalid' })
    const forOther = signed('ap1', path, 1)
    expect((await eu1.call('GET', path, { headers: forOther })).json).toMatchObject({ code: 'peer_wrong_receiver' })
    const once = signed('eu1', '/v1/orders', 1)
    expect((await eu1.call('GET', '/v1/orders', { headers: once })).status).toBe(200)
    expect((await eu1.call('GET', '/v1/orders', { headers: once })).json).toMatchObject({ code: 'peer_replayed' })
    const asPlaced = { 'holdfast-placed-here': 'true' } // of a client: it says nothing
    const placed = await eu1.call('POST', '/v1/orders', {
      key: newKey('us1'),
      body: orderBody('A-1'),
      headers: asPlaced,
    })
    expect(placed.json.cell).toBe('us1')
  })

  it('covers what is asked, by whom and with which body: nothing of it can be changed, added or taken away on the way', async () => {
    const body = JSON.stringify(orderBody('A-1'))
    const headers = { ...hops(1), 'content-type': 'application/json', 'idempotency-key': newKey() }
    const again = () => all.signed('us1', 'eu1', 'POST', '/v1/orders', { headers, body })
    const send = (changed: Record<string, string>, sent: string | null = body) =>
      fetch(`${eu1.url}/v1/orders`, { method: 'POST', headers: { ...again(), ...changed }, body: sent })
    const changes: [Record<string, string>, (string | null)?][] = [
      [{ authorization: 'Bearer sk_other' }],
      [{ 'idempotency-key': newKey() }],
      [{ 'content-type': 'application/x-ndjson' }],
      [{ 'holdfast-hops': '2' }],
      [{ 'if-match': '"1"' }],
      [{ 'holdfast-placed-here': 'true' }],
      [{}, JSON.stringify(orderBody('A-1', 2))],
      [{}, null],
    ]
    for (const [changed, sent] of changes) {
      const answer = await send(changed, sent)
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([401, 'peer_signature_invalid'])
    }
    const bare = all.signed('us1', 'eu1', 'POST', '/v1/orders', { headers })
    expect((await fetch(`${eu1.url}/v1/orders`, { method: 'POST', headers: bare, body })).status).toBe(401)
    expect((await send({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' })).status).toBe(201)
    expect(
      (await eu1.call('POST', '/v1/orders', { key: headers['idempotency-key'], body })).headers.get(
        'idempotent-replayed',
      ),
    ).toBe('true')
  })

  it('is looked at again where a request is sent on: what is not as it was signed goes no further', async () => {
    let isAsked = false
    play = (_, response) => {
      isAsked = true
      response.end('{}')
    }
    const headers = { ...hops(1), 'content-type': 'application/json' }
    const send = (sent: string) =>
      fetch(`${eu1.url}${farOrder}`, {
        method: 'PATCH',
        headers: all.signed('us1', 'eu1', 'PATCH', farOrder, { headers, body: '{"note":"a"}' }),
        body: sent,
      })
    expect(await (await send('{"note":"b"}')).json()).toMatchObject({ code: 'peer_signature_invalid' })
    expect(isAsked).toBe(false)
    expect((await send('{"note":"a"}')).status).toBe(200)
  })

  it('never goes round: a fourth hop is refused, and so is what comes to the wrong cell', async () => {
    const forwarded = (count: number | string) => eu1.call('GET', path, { headers: signed('eu1', path, count) })
    play = (_, response) => void response.end('two')
    expect((await forwarded(1)).text).toBe('two')
    expect((await forwarded(2)).text).toBe('two')
    expect((await forwarded(3)).json).toMatchObject({
      status: 508,
      code: 'too_many_hops',
    })
    expect((await forwarded(4)).json).toMatchObject({
      status: 508,
      code: 'too_many_hops',
    })
    expect((await forwarded('x')).json).toMatchObject({ code: 'malformed_request' })
    const { url } = all.topology().cells.find(({ name }) => name === 'ap1')!
    all.change({ ap1: { url: us1.url } })
    expect((await eu1.call('GET', path)).json).toMatchObject({ code: 'peer_wrong_receiver' })
    all.change({ ap1: { url } })
  })
})
