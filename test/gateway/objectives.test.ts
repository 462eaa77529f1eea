// What a process tells of its objectives is what it has done: orders, payments, consumers, audits.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { objectives } from '../../deploy/observability/objectives.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 100)
})
afterAll(() => cell.stop())

type Told = { name: string; good: number; total: number; target: number; window_days: number; since: string }
const read = async (name: string): Promise<Told> => {
  const { json } = await cell.call('GET', '/v1/objectives')
  return json.data.find((one: Told) => one.name === name)
}
const sold = (more: object) => cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1, more) })

test('all objectives are told, with their targets and since when they are counted', async () => {
  const { status, json } = await cell.call('GET', '/v1/objectives')
  expect(status).toBe(200)
  expect(json.data.map(({ name, target }: Told) => ({ name, target }))).toEqual(
    objectives.map(({ name, target }) => ({ name, target })),
  )
  for (const { since, window_days } of json.data) {
    expect(Date.parse(since)).toBeLessThanOrEqual(Date.now())
    expect(window_days).toBe(30)
  }
})

test('who may not see cells may not see them', async () => {
  expect((await cell.call('GET', '/v1/objectives', { as: null })).status).toBe(401)
  expect((await cell.call('GET', '/v1/objectives', { as: 'pk_dev' })).status).toBe(403)
})

test('an order that is taken and one that is refused for a reason of its own are both answered well', async () => {
  const before = await read('order_acceptance')
  expect((await sold({})).status).toBe(201)
  expect((await cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1_000) })).status).toBe(409)
  expect((await cell.call('POST', '/v1/orders', { body: '{' })).status).toBe(400)
  const after = await read('order_acceptance')
  expect([after.good - before.good, after.total - before.total]).toEqual([3, 3])
})

test('a payment counts once, when it has its outcome: confirmed, declined, or handed back to its buyer', async () => {
  const before = await read('confirmation_time')
  for (const method of ['tok_ok', 'tok_declined', 'tok_requires_action'])
    expect((await sold({ payment: { provider: 'test', method } })).status).toBe(201)
  await sold({ payment: { provider: 'none' } })
  await sold({}) // nobody has tried to pay it
  await eventually(async () => (await read('confirmation_time')).total === before.total + 4)
  expect((await read('confirmation_time')).good).toBe(before.good + 4)
})

test('consumers and audits are counted as they are looked at; a cell that is alone reaches nobody', async () => {
  await eventually(async () => (await read('event_lag')).good > 0, 15_000)
  await cell.call('GET', '/v1/audit?fresh=true')
  const audit = await read('audit')
  expect(audit.good).toBe(audit.total)
  expect(audit.good).toBeGreaterThan(0)
  expect((await read('cell_reachability')).total).toBe(0)
})

test('an audit that finds a difference is none of the good, and its metric says so', async () => {
  const before = await read('audit')
  const database = cell.database
  const change = (by: number) =>
    database.transaction((session) => session.run(`update stock.rows set on_hand = on_hand + ${by} where sku = 'A-1'`))
  await change(1)
  expect((await cell.call('GET', '/v1/audit?fresh=true')).json.consistent).toBe(false)
  const after = await read('audit')
  expect(after.total - after.good).toBeGreaterThan(before.total - before.good)
  const { text } = await cell.call('GET', '/metrics')
  expect(text).toMatch(/^holdfast_audit_differences\{of="units",cell="eu1"\} [1-9]/m)
  await change(-1)
})

test('answers are counted by the template of their route, and what is no route of ours under none', async () => {
  await cell.call('GET', '/v1/stock/A-1')
  await cell.call('GET', '/wp-admin/setup.php')
  const { text } = await cell.call('GET', '/metrics')
  expect(text).toMatch(
    /^holdfast_http_answers_total\{method="GET",route="\/v1\/stock\/:sku",status="200",cell="eu1"\} 1$/m,
  )
  expect(text).toMatch(/^holdfast_http_answers_total\{method="GET",route="",status="404",cell="eu1"\} 1$/m)
  expect(text).not.toContain('wp-admin')
})

const metric = async (name: string, label: string): Promise<number> => {
  const line = new RegExp(`^${name}\\{[^}]*${label}[^}]*\\} (\\d+)$`, 'm')
  return Number(line.exec((await cell.call('GET', '/metrics')).text)?.[1])
}

test('what consumers apply is counted and timed by their names', async () => {
  expect((await sold({ payment: { provider: 'test', method: 'tok_ok' } })).status).toBe(201)
  await eventually(async () => (await metric('holdfast_events_applied_total', 'consumer="payments"')) > 0)
  expect(await metric('holdfast_consumer_seconds_count', 'consumer="payments"')).toBeGreaterThan(0)
})

test('streams and bulk requests are counted by their routes as they begin, and not timed', async () => {
  const left = new AbortController()
  const headers = { authorization: 'Bearer sk_dev', accept: 'text/event-stream' }
  await fetch(`${cell.url}/v1/events`, { headers, signal: left.signal })
  left.abort()
  const lines = { ...headers, 'content-type': 'application/x-ndjson' }
  await (await fetch(`${cell.url}/v1/orders/bulk`, { method: 'POST', headers: lines, body: '{}\n' })).text()
  for (const route of ['/v1/events', '/v1/orders/bulk']) {
    expect(await metric('holdfast_http_answers_total', `route="${route}",status="200"`)).toBe(1)
    expect(await metric('holdfast_http_seconds_count', `route="${route}"`)).toBeNaN()
  }
})
