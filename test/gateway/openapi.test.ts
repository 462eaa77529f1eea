// The description and the server agree: every answer fits its schema, every code a route is said to refuse with is in the
// table, a public linter finds nothing, and nothing of a later version is told.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorTable } from '../../src/base/errors.ts'
import { parseRfc3339 } from '../../src/base/time.ts'
import { eventually } from '../support/eventually.ts'
import { type Answer, type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { readText, repository } from '../tidy/sources.ts'

type Responses = Record<string, { description: string; content?: Record<string, { schema: object }> }>
type Document = {
  paths: Record<string, Record<string, { operationId: string; responses: Responses; security?: object[] }>>
  components: { schemas: Record<string, object> }
}

let cell: HttpCell
let api: Document
beforeAll(async () => {
  cell = await openHttpCell()
  api = (await cell.call('GET', '/openapi.json', { as: null })).json
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

describe('the document', () => {
  it('is the one in the repository', () => {
    expect(JSON.parse(readText('docs/generated/openapi.json'))).toEqual(api)
  })

  it('is found good by Redocly', { timeout: 60_000 }, async () => {
    const linter = `${repository}/node_modules/.bin/redocly`
    const { stderr, stdout } = await promisify(execFile)(
      linter,
      ['lint', `${repository}/docs/generated/openapi.json`],
      {
        env: { ...process.env, REDOCLY_TELEMETRY: 'off' },
      },
    )
    expect(`${stdout}${stderr}`).toContain('Your API description is valid')
    expect(`${stdout}${stderr}`).not.toMatch(/You have \d+ warning/)
  })

  it('tells of no code that the table does not know, and of each under its own status', () => {
    const told = new Set<string>()
    for (const methods of Object.values(api.paths)) {
      for (const { operationId, responses } of Object.values(methods)) {
        for (const [status, { description }] of Object.entries(responses)) {
          for (const [, code] of description.matchAll(/`(\w+)`/g)) {
            told.add(code!)
            expect(errorTable[code as keyof typeof errorTable]?.status, `${operationId} ${code}`).toBe(Number(status))
          }
        }
      }
    }
    // What concerns no route in particular, and what cells say to each other.
    const anywhere = ['method_not_allowed', 'headers_too_large', 'cell_claimed_twice']
    const untold = Object.keys(errorTable).filter((code) => !told.has(code) && !code.startsWith('peer_'))
    expect(untold.filter((code) => !anywhere.includes(code))).toEqual([])
  })

  it('tells of nothing that a later version brings', () => {
    const text = JSON.stringify(api)
    for (const word of ['"told"', 'cus_']) expect(text).not.toContain(word)
  })
})

describe('answers', () => {
  /** Throws when the answer is none of those that the document tells of. */
  function expectTold(method: string, path: string, answer: Answer): void {
    const plain = path.split('?')[0]!
    const template =
      plain in api.paths
        ? plain
        : Object.keys(api.paths).find((one) => new RegExp(`^${one.replace(/\{\w+\}/g, '[^/]+')}$`).test(plain))!
    const methods = api.paths[template]!
    const response = methods[method.toLowerCase()]!.responses[answer.status]
    expect(response, `${method} ${template} ${answer.status}`).toBeDefined()
    const type = (answer.headers.get('content-type') ?? '').split(';')[0]!
    if (answer.status === 204) return
    const schema = response!.content![type]?.schema
    expect(schema, `${method} ${template} ${answer.status} ${type}`).toBeDefined()
    const ajv = new Ajv2020({
      strict: false,
      formats: { 'date-time': (text: string) => parseRfc3339(text) !== undefined },
    })
    const validate = ajv.compile({ components: api.components, ...schema })
    const lines =
      type === 'application/x-ndjson'
        ? answer.text
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line))
        : [answer.json ?? answer.text]
    for (const line of lines)
      expect(validate(line), `${method} ${path}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(line)}`).toBe(
        true,
      )
  }

  async function ask(method: string, path: string, options = {}): Promise<Answer> {
    const answer = await cell.call(method, path, options)
    expectTold(method, path, answer)
    return answer
  }

  /** Of an order with one unit left. */
  async function askLifeOf(id: string): Promise<void> {
    const order = `/v1/orders/${id}`
    const lines = [{ sku: 'A-1', quantity: 1 }]
    await ask('PATCH', order, { body: { note: 'n' } })
    await ask('POST', `${order}/payments`, { body: { provider: 'none' } })
    await ask('POST', `${order}/capture`)
    await ask('POST', `${order}/approve`)
    await ask('POST', `${order}/refuse`)
    const { json: payments } = await ask('GET', `${order}/payments`)
    await ask('GET', `/v1/orders/${id}/payments/${payments.data[0].id}`)
    await ask('POST', `${order}/short-picks`, { body: { location: 'second', lines } })
    const given = await ask('POST', `${order}/picks`, { body: { location: 'main' } })
    await eventually(async () => (await ask('GET', '/v1/fulfilment?status=picking')).json.data.length > 0)
    await ask('POST', `/v1/shipments/${given.json.id}/cancel`)
    const picked = await ask('POST', `${order}/picks`, { body: { location: 'main', lines } })
    await ask('POST', `/v1/shipments/${picked.json.id}/pack`)
    const dispatch = { carrier: 'post', tracking_number: 'T' }
    await ask('POST', `/v1/shipments/${picked.json.id}/ship`, { body: dispatch })
    const shipment = await ask('POST', `${order}/shipments`, { body: dispatch })
    expect(shipment.status).toBe(409)
    await ask('GET', `/v1/shipments/${picked.json.id}`)
    await ask('POST', `/v1/shipments/${picked.json.id}/deliver`)
    const exchange = { return: { reason: 'r', lines: [{ sku: 'none', quantity: 1 }] }, order: orderBody('A-1', 1) }
    expect((await ask('POST', `${order}/exchanges`, { body: exchange })).status).toBe(422)
    const back = await ask('POST', `${order}/returns`, { body: { reason: 'r', lines } })
    await ask('GET', `/v1/returns/${back.json.id}`)
    const received = [{ ...lines[0], resellable: false }]
    await ask('POST', `/v1/returns/${back.json.id}/receive`, { body: { lines: received } })
    const { json: refunds } = await ask('GET', `${order}/refunds`)
    await ask('GET', `/v1/orders/${id}/refunds/${refunds.data[0].id}`)
    await ask('POST', `${order}/refunds`, { body: { reason: 'r' } })
    const paying = (method: string) =>
      ask('POST', '/v1/orders', {
        body: orderBody('A-1', 1, { payment: { provider: 'test', method } }),
        headers: { prefer: 'wait=10' },
      })
    for (const method of ['tok_ok', 'tok_declined', 'tok_requires_action']) {
      const { json } = await paying(method)
      await ask('GET', `/v1/orders/${json.id}/payments`)
      await ask('POST', `/v1/orders/${json.id}/refunds`, { body: { reason: 'r' } })
    }
  }

  it('of every route fit their schemas, and have no field that is not told', async () => {
    await receive(cell, 'A-1', 100)
    await ask('POST', '/v1/stock/adjustments', { body: { adjustments: [{ sku: 'A-1', set: 100, reason: 'counted' }] } })
    await ask('PUT', '/v1/locations/second', { body: { name: 'Second', address: { country: 'AT' } } })
    await ask('GET', '/v1/locations')
    await ask('PUT', '/v1/stock/A-1/policy', { body: { allowance: 3, group: 'g' } })
    await ask('GET', '/v1/stock/A-1/policy')
    await ask('GET', '/v1/stock/A-1')
    await ask('GET', '/v1/stock?sku=A-1')
    const hold = await ask('POST', '/v1/holds', { body: { lines: [{ sku: 'A-1', quantity: 3 }], ttl_seconds: 60 } })
    await ask('GET', `/v1/holds/${hold.json.id}`)
    await ask('POST', `/v1/holds/${hold.json.id}/extend`, { body: { ttl_seconds: 70 } })
    const more = {
      hold_id: hold.json.id,
      customer: { email: 'a@b.c' },
      shipping_address: { country: 'AT' },
      payment: { provider: 'none' },
      reference: 'r',
    }
    const order = await ask('POST', '/v1/orders', { body: orderBody('A-1', 2, more) })
    await ask('POST', '/v1/orders', { body: orderBody('A-1', 200) })
    await ask('DELETE', `/v1/holds/${hold.json.id}`)
    await ask('GET', `/v1/orders/${order.json.id}`)
    await ask('GET', '/v1/orders')
    await ask('GET', `/v1/orders/${order.json.id}/events`)
    await ask('POST', `/v1/orders/${order.json.id}/cancel`, {
      body: { reason: 'buyer', lines: [{ sku: 'A-1', quantity: 1 }] },
    })
    await askLifeOf(order.json.id)
    const lines = { 'content-type': 'application/x-ndjson' }
    const line = JSON.stringify({ idempotency_key: 'k', ...orderBody('A-1') })
    await ask('POST', '/v1/orders/bulk', { body: `${line}\n${line}\n{`, headers: lines })
    const adjustment = JSON.stringify({ idempotency_key: 'a', sku: 'A-1', delta: 1, reason: 'received' })
    await ask('POST', '/v1/stock/bulk', { body: `${adjustment}\n{`, headers: lines })
    await ask('GET', '/v1/events')
    await ask('GET', '/v1/audit?fresh=true')
    await ask('GET', '/healthz')
    await ask('GET', '/readyz')
    await ask('GET', '/metrics')
    const told = Object.keys((api.components.schemas.Order as { properties: object }).properties)
    expect(Object.keys(order.json).filter((name) => !told.includes(name))).toEqual([])
  })
})
