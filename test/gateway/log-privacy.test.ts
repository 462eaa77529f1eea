// Nothing personal is ever logged, whatever the level and whatever goes wrong; and what is logged within a request is found by its
// trace, its id, its cell and its order.
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

const personal = ['jane.doe@example.com', 'Jane Sparrow-Doe', '17 Larkspur Lane', 'gift for my sister', 'tok_ok']
const [email, name, street, note, method] = personal as [string, string, string, string, string]
const address = { name, line1: street, city: 'Dublin', postal_code: 'D02 X285', country: 'IE' }
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-00` }

let cell: HttpCell
const lines: string[] = []
beforeAll(async () => {
  const log = pino({ level: 'trace', base: { cell: 'eu1' } }, { write: (line: string) => void lines.push(line) })
  cell = await openHttpCell({}, { log })
  await receive(cell, 'A-1', 1_000)
})
afterAll(() => cell.stop())

const body = (more: object = {}) =>
  orderBody('A-1', 1, {
    ...{ customer: { email }, shipping_address: address, note, payment: { provider: 'test', method } },
    ...more,
  })
const place = (more: object = {}) =>
  cell.call('POST', '/v1/orders', { body: body(more), headers: { ...headers, prefer: 'wait=20' } })
const written = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>)

describe('the log', () => {
  it('holds no e-mail, name, address, note or token of a card, at its finest level', async () => {
    const placed = await place()
    expect(placed.json).toMatchObject({ status: 'confirmed', shipping_address: address })
    const path = `/v1/orders/${placed.json.id}`
    await cell.call('PATCH', path, { body: { note, customer: { email } }, headers })
    await cell.call('GET', `/v1/orders?email=${encodeURIComponent(email)}`, { headers })
    await cell.call('GET', `/v1/orders/${encodeURIComponent(email)}`, { headers })
    await cell.call('POST', '/v1/orders', { body: body({ shipping_address: { ...address, [street]: name } }), headers })
    await cell.call('POST', '/v1/orders', { body: `{"note":"${note}","email":"${email}"`, headers })
    await eventually(() => written().filter(({ msg }) => msg === 'answered').length >= 6)
    for (const text of personal) expect(lines.join('')).not.toContain(text)
  })

  it('holds none when the database refuses a row of them, and tells what failed', async () => {
    const change = (sql: string) => cell.database.transaction((session) => session.run(sql))
    await change('alter table orders.personal add constraint refused check (false) not valid')
    const failed = await place()
    expect(failed.status).toBe(500)
    await change('alter table orders.personal drop constraint refused')
    const line = written().find(({ msg }) => msg === 'request failed')
    expect(line).toMatchObject({ cell: 'eu1', trace_id: traceId, request_id: failed.headers.get('x-request-id') })
    for (const text of personal) expect(lines.join('')).not.toContain(text)
  })

  it('says within a request its trace, its id and its order; a trace of our own where the caller has none', async () => {
    const { json } = await place()
    const answers = () => written().filter(({ msg, order_id: order }) => msg === 'answered' && order === json.id)
    await cell.call('GET', `/v1/orders/${json.id}`, { headers })
    await cell.call('GET', `/v1/orders/${json.id}`)
    await eventually(() => answers().length === 2)
    const [given, own] = answers()
    expect(given).toMatchObject({ cell: 'eu1', trace_id: traceId, route: '/v1/orders/:id', status: 200 })
    expect(own!.trace_id).toMatch(/^[0-9a-f]{32}$/)
    expect(own!.trace_id).not.toBe(traceId)
  })
})
