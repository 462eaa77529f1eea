// Bad input, driven from the OpenAPI document: every field of every route gets wrong types, extremes, odd text, extra
// neighbours and broken JSON. The answer is always a clear problem (or a success, where the value happens to be good), never
// a fault of ours and never silence; and what is refused changes nothing.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ErrorCode, errorTable } from '../../src/base/errors.ts'
import { type Answer, type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

type Schema = { type?: string; properties?: Record<string, Schema>; items?: Schema }
type Parameter = { in: string; name: string; required?: boolean; schema: Schema }
type Operation = {
  operationId: string
  parameters?: Parameter[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}
type Route = { method: string; path: string; operation: Operation }

let cell: HttpCell
let routes: Route[]
let orderId: string
let holdId: string
let shipmentId: string
let returnId: string
let endpointId: string
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 1_000_000)
  orderId = (await cell.call('POST', '/v1/orders', { body: orderBody('A-1', 100) })).json.id
  const hold = { lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 600 }
  holdId = (await cell.call('POST', '/v1/holds', { body: hold })).json.id
  const shipped = await cell.call('POST', '/v1/orders', {
    body: orderBody('A-1', 9, { payment: { provider: 'none' } }),
  })
  const part = async (parts: string, body: object): Promise<string> =>
    (await cell.call('POST', `/v1/orders/${shipped.json.id}/${parts}`, { body })).json.id
  shipmentId = await part('shipments', { carrier: 'post', tracking_number: '1' })
  returnId = await part('returns', { reason: 'r', lines: [{ sku: 'A-1', quantity: 5 }] })
  endpointId = (await cell.call('POST', '/v1/webhook-endpoints', { body: goodBodies.createWebhookEndpoint!() })).json.id
  const { paths } = cell.app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> }
  routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  expect((await cell.call('GET', '/v1/audit?fresh=true')).json).toMatchObject({ consistent: true })
  await cell.stop()
})

const price = { amount: 500, currency: 'EUR' }
const address = { name: 'A', line1: 'B', line2: 'C', city: 'D', postal_code: 'E', region: 'F', country: 'AT' }
/** A good body of each route, with every field that OpenAPI tells of. */
const goodBodies: Record<string, () => object> = {
  placeOrder: () => ({
    currency: 'EUR',
    lines: [
      { sku: 'A-1', quantity: 1, unit_price: price },
      { sku: 'A-1', quantity: 1, amount: price },
    ],
    customer: { email: 'a@example.com', external_id: '1' },
    shipping_address: address,
    payment: { provider: 'none', method: '' },
    reference: crypto.randomUUID(),
    placed_at: '2020-01-01T00:00:00Z',
    note: 'note',
    tags: ['tag'],
    metadata: { key: 'value' },
    hold_id: holdId,
  }),
  cancelOrder: () => ({ reason: 'buyer', lines: [{ sku: 'A-1', quantity: 1 }] }),
  payOrder: () => ({ provider: 'none', method: '' }),
  refundOrder: () => ({ amount: price, lines: [{ sku: 'A-1', quantity: 1 }], reason: 'r' }),
  shipOrder: () => ({
    lines: [{ sku: 'A-1', quantity: 1 }],
    location: 'main',
    carrier: 'post',
    tracking_number: 'T-1',
  }),
  pickOrder: () => ({ lines: [{ sku: 'A-1', quantity: 1 }], location: 'main' }),
  shipShipment: () => ({ carrier: 'post', tracking_number: 'T-1' }),
  exchangeOrder: () => ({ return: goodBodies.requestReturn!(), order: goodBodies.placeOrder!() }),
  requestReturn: () => ({ lines: [{ sku: 'A-1', quantity: 1 }], reason: 'r' }),
  receiveReturn: () => ({ lines: [{ sku: 'A-1', quantity: 1, resellable: true }] }),
  reportShortPick: () => ({ location: 'main', lines: [{ sku: 'A-1', quantity: 1 }] }),
  editOrder: () => ({
    shipping_address: address,
    note: 'note',
    tags: ['tag'],
    metadata: { key: 'value' },
    customer: { email: 'a@example.com' },
  }),
  createWebhookEndpoint: () => ({ url: 'http://127.0.0.1:9/', types: ['stock.short'], enabled: false }),
  changeWebhookEndpoint: () => ({ url: 'http://127.0.0.1:9/', types: ['stock.short'], enabled: false }),
  rewindConsumer: () => ({ to: 'start', force: false }),
  // Of what no order of this file has, so that none of them is reviewed or refused.
  putSettings: () => {
    const nobody = { emails: ['nobody@example.org'], email_domains: ['example.org'], countries: ['AQ'] }
    const risk = {
      review_above: { JPY: 1 },
      refuse_above: { JPY: 1 },
      orders_per_hour: { email: 9_000, customer: 9_000 },
    }
    return {
      capture: 'now',
      reservation_seconds: 900,
      payments: { authorization_days: 7, capture_lead_hours: 24, at_capture_deadline: 'capture' },
      rounding: 'down',
      risk: { ...risk, review: nobody, refuse: nobody },
    }
  },
  placeHold: () => ({ lines: [{ sku: 'A-1', quantity: 1 }], ttl_seconds: 1 }),
  extendHold: () => ({ ttl_seconds: 600 }),
  adjustStock: () => ({
    adjustments: [
      { sku: 'bad-input', delta: 1, reason: 'received', location: 'main' },
      { sku: 'bad-input', set: 1, as_of: '2020-01-01T00:00:00Z', reason: 'counted' },
    ],
  }),
  setStockPolicy: () => ({ tracking: 'counted', allowance: 1, regions: ['eu'], group: 'g' }),
  setStockPolicies: () => ({
    policies: [{ sku: 'bad-input', tracking: 'counted', allowance: 1, regions: ['eu'], group: 'g' }],
  }),
  bookLedgerEntry: () => ({ kind: 'fee', order_id: orderId, amount: price, reason: 'r' }),
  /** Sent without If-Match, so that it changes nothing however good it is. */
  putChaosNetwork: () => ({ cut_off: false }),
  putChaosProvider: () => ({ delay_ms: 0, lost_answers: 0 }),
  startSale: () => ({ units: 1, buyers: 1 }),
  putTopology: () => ({
    zones: [{ name: 'world', regions: ['eu'] }],
    cells: [
      {
        ...{ name: 'eu1', url: 'http://127.0.0.1:1', public_key: 'A'.repeat(43), state: 'active' },
        ...{ durability: 'geo', on_isolation: 'sell', standby: { region: 'eu' } },
      },
    ],
  }),
  putLocation: () => ({ name: 'X', cell: 'eu1', priority: 1, address, lat: 1, lon: 1 }),
}

/** None is good for more than a few kinds of field; each breaks most. */
const oddValues: unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  -(2 ** 53),
  1e308,
  '',
  ' ',
  '1',
  'x'.repeat(5_000),
  'a\0b',
  '\ud800',
  'x\udfff',
  'a\nb',
  '\u202e\u0301\ufffe',
  '😀'.repeat(200),
  '__proto__',
  "'; drop table orders.orders; --",
  '{{7*7}}\\',
  [],
  {},
  [[]],
  { $ref: '#' },
  Array(3_000).fill('x'),
]

const pathOf = (path: string, values: Record<string, string> = {}): string =>
  path.replace(/\{(\w+)\}/g, (_, name) => {
    const ids: Record<string, string> = {
      orders: orderId,
      shipments: shipmentId,
      returns: returnId,
      'webhook-endpoints': endpointId,
    }
    const id = ids[path.split('/')[2]!] ?? holdId
    return encodeURIComponent(values[name] ?? (name === 'id' ? id : 'bad-input'))
  })

/** Everything that a request could have changed. */
async function footprint(): Promise<string> {
  const [row] = await cell.database.query<{ text: string }>(`
    select concat_ws(' ', (select count(*) from runtime.events), (select count(*) from stock.rows),
      (select sum(version) from stock.locations), (select count(*) from stock.policies),
      (select count(*) from orders.order_references)) as text`)
  return row!.text
}

/** The rule of this file. */
async function expectClear(what: string, send: () => Promise<Answer>): Promise<void> {
  const before = await footprint()
  const answer = await send()
  expect(answer.status, `${what}: ${answer.text.slice(0, 300)}`).toBeLessThan(500)
  if (answer.status < 400) return
  expect(answer.headers.get('content-type'), what).toMatch(/^application\/problem\+json/)
  expect(errorTable[answer.json.code as ErrorCode]?.status, `${what}: ${answer.text}`).toBe(answer.status)
  expect(answer.text, what).not.toMatch(/at \w+ \(|node_modules|select .* from|syntax error/i)
  // Expired holds are the sweeper's doing.
  if ((await footprint()) !== before)
    expect(await changesSince(before), `${what} was refused and changed something`).toEqual([])
}

async function changesSince(before: string): Promise<string[]> {
  const count = Number(before.split(' ')[0])
  const rows = await cell.database.query<{ type: string }>('select type from runtime.events order by seq offset $1', [
    count,
  ])
  const types = rows.map(({ type }) => type).filter((type) => type !== 'hold.expired' && type !== 'order.cancelled')
  return rows.length === 0 ? ['no event, but rows'] : types
}

/** Objects with whatever names their caller likes. */
const maps = new Set<Step>(['metadata', 'review_above', 'refuse_above'])

type Step = string | number
/** Every place of a value, by its path. */
function placesIn(value: unknown, path: Step[] = []): Step[][] {
  if (typeof value !== 'object' || value === null) return [path]
  return [
    path,
    ...Object.entries(value).flatMap(([name, inner]) =>
      placesIn(inner, [...path, Array.isArray(value) ? Number(name) : name]),
    ),
  ]
}

function withValueAt(value: unknown, [first, ...rest]: Step[], put: unknown): unknown {
  if (first === undefined) return put
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<Step, unknown>
  if (put === undefined && rest.length === 0) delete copy[first]
  else copy[first] = withValueAt(copy[first], rest, put)
  return copy
}

const valueAt = (value: unknown, path: Step[]): unknown =>
  path.reduce((inner, step) => (inner as Record<Step, unknown>)[step], value)

const jsonRoutes = (): Route[] => routes.filter(({ operation }) => operation.requestBody?.content['application/json'])
const send = ({ method, path }: Route, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  cell.call(method, pathOf(path), { body, headers })

describe('bodies', () => {
  it('of every route are known here, with every field that OpenAPI tells of', () => {
    for (const { operation } of jsonRoutes()) {
      const body = goodBodies[operation.operationId]?.()
      expect(body, `write a good body of ${operation.operationId}`).toBeDefined()
      const told = namesIn(operation.requestBody!.content['application/json']!.schema)
      const used = new Set(placesIn(body).flat())
      expect(
        [...told].filter((name) => !used.has(name)),
        operation.operationId,
      ).toEqual([])
    }
  })

  const namesIn = (schema: Schema): Set<string> => {
    const names = new Set<string>()
    for (const [name, inner] of Object.entries(schema.properties ?? {})) {
      names.add(name)
      for (const deeper of namesIn(inner)) names.add(deeper)
    }
    for (const deeper of schema.items ? namesIn(schema.items) : []) names.add(deeper)
    return names
  }

  it('with any one value odd, missing or one too many', { timeout: 120_000 }, async () => {
    for (const route of jsonRoutes()) {
      const good = goodBodies[route.operation.operationId]!
      for (const place of placesIn(good())) {
        const name = `${route.operation.operationId} /${place.join('/')}`
        const inner = valueAt(good(), place)
        const more =
          typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? [{ ...inner, 'no such field': 1 }] : []
        await Promise.all(
          [undefined, ...oddValues, ...more].map((odd) =>
            odd === undefined && place.length === 0
              ? undefined
              : expectAnswered(`${name} = ${JSON.stringify(odd)?.slice(0, 60)}`, () =>
                  send(route, withValueAt(good(), place, odd)),
                ),
          ),
        )
      }
    }
  })

  /** Without the look at the tables, so that many can be asked at once; the next tests look. */
  async function expectAnswered(what: string, ask: () => Promise<Answer>): Promise<void> {
    const answer = await ask()
    expect(answer.status, `${what}: ${answer.text.slice(0, 300)}`).toBeLessThan(500)
    if (answer.status < 400) return
    expect(answer.headers.get('content-type'), what).toMatch(/^application\/problem\+json/)
    expect(errorTable[answer.json.code as ErrorCode]?.status, `${what}: ${answer.text}`).toBe(answer.status)
  }

  it('with an unknown field, wherever, are refused with a pointer to it', async () => {
    for (const route of jsonRoutes()) {
      const good = goodBodies[route.operation.operationId]!()
      for (const place of placesIn(good)) {
        const inner = valueAt(good, place)
        if (typeof inner !== 'object' || inner === null || Array.isArray(inner) || maps.has(place.at(-1)!)) continue
        const { json } = await send(route, withValueAt(good, [...place, 'zzz'], 1))
        expect(json, route.operation.operationId).toMatchObject({ status: 400, code: 'unknown_field' })
        expect(json.errors[0].pointer).toBe(`/${[...place, 'zzz'].join('/')}`)
      }
    }
  })

  it('that are broken, doubled, cut off, too large or of another type change nothing', {
    timeout: 120_000,
  }, async () => {
    for (const route of jsonRoutes()) {
      const { operationId } = route.operation
      const text = JSON.stringify(goodBodies[operationId]!())
      const doubled = text.replace('{', `{${text.slice(1, text.indexOf(':') + 1)}1,`)
      const bodies = [
        '',
        ' ',
        '{',
        text.slice(0, -1),
        `${text},`,
        `[${text}]`,
        doubled,
        '\ufeff',
        text.replaceAll('"', "'"),
        `${text}\0`,
      ]
      for (const body of bodies) {
        const refused = () => send(route, body)
        await expectClear(`${operationId} ${body.slice(0, 40)}`, refused)
        expect((await refused()).status, `${operationId} ${body.slice(0, 40)}`).toBe(400)
      }
      const large = `${text.slice(0, -1)},"note":"${'x'.repeat(5 * 1024 * 1024)}"}`
      await expectClear(`${operationId} too large`, () => send(route, large))
      expect((await send(route, large)).status).toBe(413)
      for (const type of ['text/plain', 'application/xml', 'application/json-seq', 'x']) {
        await expectClear(`${operationId} as ${type}`, () => send(route, text, { 'content-type': type }))
        expect((await send(route, text, { 'content-type': type })).status).toBe(415)
      }
    }
  })

  it('of any JSON at all are answered', { timeout: 120_000 }, async () => {
    for (const route of jsonRoutes()) {
      await fc.assert(
        fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), (body) =>
          expectClear(route.operation.operationId, () => send(route, JSON.stringify(body))),
        ),
        { numRuns: 15 },
      )
    }
  })

  it('with thousands of lines are refused before the engine sees them, or taken', async () => {
    const lines = (count: number) => Array(count).fill({ sku: 'A-1', quantity: 1, unit_price: price })
    await expectClear('2,001 lines', () =>
      cell.call('POST', '/v1/orders', { body: { currency: 'EUR', lines: lines(2_001) } }),
    )
    const most = await cell.call('POST', '/v1/orders', { body: { currency: 'EUR', lines: lines(2_000) } })
    expect(most.status).toBe(201)
    expect(most.json.lines).toHaveLength(2_000)
  })
})

describe('parameters', () => {
  it('in paths, queries and headers', { timeout: 120_000 }, async () => {
    const odd = [
      '',
      '0',
      '-1',
      '1e9',
      'x'.repeat(3_000),
      '\0',
      'a\u0001b',
      '../..',
      '%',
      '😀',
      "';--",
      'null',
      'true',
      '[]',
      '__proto__',
      'NaN',
      '9'.repeat(400),
    ]
    for (const { method, path, operation } of routes) {
      if (operation.operationId === 'listEvents' || path === '/metrics') continue // asked in events.test.ts
      if (operation.operationId === 'startSale') continue // what it begins goes on
      const body = operation.requestBody ? goodBodies[operation.operationId]?.() : undefined
      if (operation.requestBody && !body) continue // lines: asked below
      for (const { in: where, name } of operation.parameters ?? []) {
        for (const value of odd) {
          if (where === 'header' && /[^\x20-\x7e]/.test(value)) continue // no client can send it
          const query = where === 'query' ? `?${new URLSearchParams([[name, value]])}` : ''
          const url = pathOf(path, where === 'path' ? { [name]: value } : {}) + query
          const headers = where === 'header' ? { [name]: value } : {}
          await expectClear(`${operation.operationId} ${name}=${value.slice(0, 30)}`, () =>
            cell.call(method, url, { body, headers }),
          )
        }
      }
      const inQuery = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')
      if (inQuery.length === 0) continue
      const needed = inQuery.filter(({ required }) => required).map(({ name }) => `${name}=A-1&`)
      const unknown = await cell.call(method, `${pathOf(path)}?${needed.join('')}zzz=1`, { body })
      expect(unknown.json, operation.operationId).toMatchObject({
        status: 400,
        code: 'unknown_field',
        errors: [{ in: 'query' }],
      })
    }
  })
})

describe('lines of the bulk routes', () => {
  it('that are odd are answered one by one, and the next line is none the worse', async () => {
    for (const [path, good] of [
      ['/v1/orders/bulk', () => ({ ...orderBody('A-1'), idempotency_key: crypto.randomUUID() })],
      ['/v1/stock/bulk', () => ({ sku: 'A-1', delta: 1, reason: 'received', idempotency_key: crypto.randomUUID() })],
    ] as const) {
      const places = placesIn(good()).slice(1)
      const odd = places.flatMap((place) => [
        ...oddValues.map((value) => withValueAt(good(), place, value)),
        withValueAt(good(), place, undefined),
      ])
      const texts = [...odd, ...oddValues]
        .map((value) => JSON.stringify(value))
        .concat('{', '"', '\0', 'x'.repeat(300_000))
      const body = texts.flatMap((text) => [text, JSON.stringify(good())]).join('\n')
      const answer = await cell.call('POST', path, {
        body,
        key: null,
        headers: { 'content-type': 'application/x-ndjson' },
      })
      const answers = answer.text
        .split('\n')
        .slice(0, -1)
        .map((text) => JSON.parse(text))
      expect(answers).toHaveLength(texts.length * 2)
      for (const [at, { status, problem }] of answers.entries()) {
        if (at % 2 === 1) expect(status).toBeLessThan(300)
        else if (problem) expect(errorTable[problem.code as ErrorCode].status).toBe(status)
        expect(status).toBeLessThan(500)
      }
    }
  })
})
