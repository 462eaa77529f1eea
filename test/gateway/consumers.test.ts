// Consumers steered over HTTP while orders are sold and paid: paused, resumed, rewound to the start, with effects once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 10_000)
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

type Consumer = { name: string; paused: boolean; position: string; lag_events: number; dead_letters: number }
const consumers = async (): Promise<Consumer[]> => (await cell.call('GET', '/v1/consumers')).json.data
const find = async (name: string) => (await consumers()).find((one) => one.name === name)!
const steer = (name: string, action: string, body?: object) =>
  cell.call('POST', `/v1/consumers/${encodeURIComponent(name)}/${action}`, body ? { body } : {})
const buy = () =>
  cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1, { payment: { provider: 'test', method: 'tok_ok' } }) })
const statusOf = async (id: string) => (await cell.call('GET', `/v1/orders/${id}`)).json.status
const caughtUp = () => eventually(async () => (await consumers()).every((one) => one.lag_events === 0), 10_000)

describe('consumers', () => {
  it('are told with how far behind they are', async () => {
    const { json } = await buy()
    await eventually(async () => (await statusOf(json.id)) === 'confirmed')
    await caughtUp()
    for (const one of await consumers()) expect(one).toMatchObject({ paused: false, lag_seconds: 0, dead_letters: 0 })
    expect((await consumers()).map(({ name }) => name)).toEqual(expect.arrayContaining(['payments', 'ledger']))
  })

  it('apply nothing while they are paused, and all of it when they are resumed', async () => {
    const paused = await steer('payments', 'pause')
    expect(paused.json).toMatchObject({ name: 'payments', paused: true })
    const { json } = await buy()
    await eventually(async () => (await find('ledger')).lag_events === 0)
    expect((await find('payments')).lag_events).toBeGreaterThan(0)
    expect(await statusOf(json.id)).toBe('pending')
    expect((await steer('payments', 'resume')).json.paused).toBe(false)
    await eventually(async () => (await statusOf(json.id)) === 'confirmed')
  })

  it('rewound to the start again and again under load change nothing that was done, and do all that is new', async () => {
    const endpoint = { url: 'http://127.0.0.1:9/nobody', types: ['*'] }
    expect((await cell.call('POST', '/v1/webhook-endpoints', { body: endpoint })).status).toBe(201)
    await eventually(async () => (await consumers()).length >= 3, 10_000)
    const before = await consumers()
    const ids: string[] = []
    for (let round = 0; round < 4; round++) {
      const bought = await Promise.all(Array.from({ length: 10 }, buy))
      ids.push(...bought.map(({ json }) => json.id))
      for (const { name } of before) expect((await steer(name, 'rewind', { to: 'start' })).status).toBe(200)
    }
    await eventually(
      async () => (await Promise.all(ids.map(statusOf))).every((status) => status === 'confirmed'),
      15_000,
    )
    await caughtUp()
    const counts = async () => {
      await eventually(async () => (await operations()) === 0, 15_000) // what is taken up again is answered as before
      return cell.database.query<{ table: string; rows: number }>(countsSql)
    }
    const done = await counts()
    expect(done.find(({ table }) => table === 'charges')!.rows).toBe(42)
    for (const { name } of before) await steer(name, 'rewind', { to: 'start' })
    await caughtUp()
    expect(await counts()).toEqual(done)
    for (const id of ids) {
      const charges = (await cell.call('GET', `/v1/test-provider/charges?order=${id}`)).json.data
      expect(charges).toMatchObject([{ amount: 500, captured: 500, refunded: 0 }])
    }
    expect((await cell.call('GET', '/v1/audit?fresh=true')).json).toMatchObject({ consistent: true, differences: [] })
  })

  it('go back to a position of theirs, and forward only by force', async () => {
    const old = (await find('ledger')).position
    const { json } = await buy()
    await eventually(async () => (await statusOf(json.id)) === 'confirmed')
    await caughtUp()
    const late = (await find('ledger')).position
    await steer('ledger', 'pause')
    expect((await steer('ledger', 'rewind', { to: old })).json.position).toBe(old)
    expect((await steer('ledger', 'rewind', { to: late })).json.code).toBe('position_ahead')
    expect((await steer('ledger', 'rewind', { to: late, force: true })).json.position).toBe(late)
    const events = (await cell.call('GET', '/v1/events?limit=1')).json
    expect((await steer('ledger', 'rewind', { to: events.next_position })).status).toBe(200)
    await steer('ledger', 'resume')
    await caughtUp()
  })

  it.each([
    ['pause', undefined, 404, 'not_found'],
    ['resume', undefined, 404, 'not_found'],
    ['rewind', { to: 'start' }, 404, 'not_found'],
    ['rewind', { to: 'nonsense' }, 400, 'cursor_invalid'],
    ['rewind', {}, 400, 'invalid_body'],
    ['rewind', { to: 'start', hard: true }, 400, 'unknown_field'],
  ])('%s of nobody with %j is %i %s', async (action, body, status, code) => {
    const answer = await steer('nobody', action, body)
    expect([answer.status, answer.json.code]).toEqual([status, code])
  })

  it('heed a key once: what it asked for is not done again when others have asked for something else since', async () => {
    const ask = (key: string | null, action: string, body?: object) =>
      cell.call('POST', `/v1/consumers/ledger/${action}`, { key, ...(body ? { body } : {}) })
    for (const action of ['pause', 'resume', 'rewind'])
      expect(await ask(null, action, action === 'rewind' ? { to: 'start' } : undefined)).toMatchObject({
        status: 400,
        json: { code: 'idempotency_key_required' },
      })
    const first = await ask('pause-1', 'pause')
    expect([first.json.paused, first.headers.get('idempotent-replayed')]).toEqual([true, null])
    expect((await ask('resume-1', 'resume')).json.paused).toBe(false)
    const late = await ask('pause-1', 'pause')
    expect(late).toMatchObject({ status: 200, json: { name: 'ledger', paused: false } })
    expect(late.headers.get('idempotent-replayed')).toBe('true')
    expect((await ask('pause-1', 'resume')).json.code).toBe('idempotency_key_reused')
    expect((await ask('nobody-1', 'rewind', { to: 'nonsense' })).json.code).toBe('cursor_invalid')
    expect((await ask('nobody-1', 'rewind', { to: 'start' })).status).toBe(200) // a refusal leaves no key
    await caughtUp()
  })

  it('need their scopes', async () => {
    expect((await cell.call('GET', '/v1/consumers', { as: 'pk_dev' })).json.code).toBe('forbidden')
    const denied = await cell.call('POST', '/v1/consumers/payments/pause', { as: 'pk_dev' })
    expect(denied.json.code).toBe('forbidden')
    expect((await cell.call('POST', '/v1/consumers/payments/resume', { as: 'pk_dev' })).json.code).toBe('forbidden')
    expect((await cell.call('POST', '/v1/consumers/payments/rewind', { as: 'pk_dev' })).json.code).toBe('forbidden')
  })
})

const operations = async (): Promise<number> =>
  (await cell.database.query<{ rows: number }>('select count(*) as rows from payments.operations'))[0]!.rows

const countsSql = `
  select 'charges' as table, count(*) as rows from test_provider.charges
  union all select 'entries', count(*) from ledger.entries
  union all select 'deliveries', count(*) from webhooks.deliveries
  union all select 'events', count(*) from runtime.events order by 1`
