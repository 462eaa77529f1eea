// What was given up, seen and settled over HTTP: operations of payments, webhook deliveries and events of consumers.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ShopId } from '../../src/base/ids.ts'
import { issueKey } from '../../src/modules/shops/service.ts'
import { forgetRequestKeys } from '../../src/runtime/request-keys.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell } from '../support/http-cell.ts'
import { writing } from '../support/writing.ts'

let cell: HttpCell
let operations: string[]
beforeAll(async () => {
  cell = await openHttpCell()
  operations = await giveUpOperations(3)
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
})

/** Captures that nobody answers for any more, as the executor leaves them. */
async function giveUpOperations(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID()).sort()
  await cell.database.transaction((session) =>
    session.run(
      `insert into payments.operations (shop_id, id, kind, provider, order_id, payment_id, amount, currency, method, capture, asked_at, due_at,
         state, tries, last_error, dead_at)
       select 1, id, 'capture', 'test', gen_random_uuid(), gen_random_uuid(), 500, 'EUR', '', 'now', clock_timestamp(), clock_timestamp(),
         'dead', 4, 'no_answer', clock_timestamp() from unnest($1::uuid[]) id`,
      [`{${ids}}`],
    ),
  )
  return ids.map((id) => `operation:${id}`)
}

/** As a consumer leaves what it cannot apply: version 2, and 3 behind it. */
async function giveUpEvents(subject: string): Promise<string[]> {
  const rows = await cell.database.transaction(async (session) => {
    await session.run(
      `insert into runtime.consumers (name, incarnation, seq, dead) select 'nobody', incarnation, 0, 2 from runtime.incarnation
       on conflict (name) do update set dead = consumers.dead + 2`,
    )
    return session.run<{ id: string }>(
      `insert into runtime.dead_events (consumer, seq, shop_id, event_id, subject, subject_version, type, at, data, reason, tries)
       select 'nobody', v, 1, gen_random_uuid(), $1, v, 'order.placed', clock_timestamp(), '{"total":5}', 'Error: no', case v when 2 then 10 else 0 end
       from generate_series(2, 3) v returning id`,
      [subject],
    )
  })
  return rows.map(({ id }) => `event:${id}`)
}

const list = async (query = '') => (await cell.call('GET', `/v1/dead-letters${query}`)).json
const idsOf = (page: { data: { id: string }[] }) => page.data.map(({ id }) => id)
const drop = (id: string, reason = 'settled+by+hand') => cell.call('DELETE', `/v1/dead-letters/${id}?reason=${reason}`)

describe('dead letters', () => {
  it('are told kind after kind, page by page, each once', async () => {
    const [first, behind] = await giveUpEvents('ord_eu1_01k3zzzzzzzzzzzzzzzzzzzzzz')
    const all = await list()
    expect(idsOf(all)).toEqual([...operations, behind, first])
    expect(all.next_cursor).toBeNull()
    for (const limit of [1, 2, 3, 4]) {
      const pages: string[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const page = await list(`?limit=${limit}${cursor && `&cursor=${cursor}`}`)
        expect(page.data.length).toBeLessThanOrEqual(limit)
        pages.push(...idsOf(page))
        cursor = page.next_cursor
      }
      expect(pages).toEqual(idsOf(all))
    }
    expect(idsOf(await list('?kind=payment_operation'))).toEqual(operations)
    expect(idsOf(await list('?kind=webhook_delivery'))).toEqual([])
    expect(all.data[0]).toMatchObject({
      kind: 'payment_operation',
      order_id: expect.stringMatching(/^ord_eu1_/),
      reason: 'no_answer',
      tries: 4,
      data: { operation: 'capture', provider: 'test', amount: 500, payment_id: expect.stringMatching(/^pay_eu1_/) },
    })
    expect(all.data.at(-1)).toMatchObject({
      kind: 'consumer_event',
      order_id: 'ord_eu1_01k3zzzzzzzzzzzzzzzzzzzzzz',
      reason: 'Error: no',
      tries: 10,
      data: { consumer: 'nobody', subjectversion: 2, type: 'order.placed', data: { total: 5 } },
    })
    const one = await cell.call('GET', `/v1/dead-letters/${all.data[0].id}`)
    expect(one.json).toEqual(all.data[0])
  })

  it('that are dropped go in order, and why is kept', async () => {
    const [first, behind] = await giveUpEvents('sku:dropped')
    expect((await cell.call('DELETE', `/v1/dead-letters/${first}`)).status).toBe(400)
    expect((await drop(behind!)).json.code).toBe('dead_letter_blocked')
    expect((await drop(first!)).status).toBe(204)
    expect((await cell.call('GET', `/v1/dead-letters/${first}`)).json.code).toBe('not_found')
    expect((await cell.call('GET', `/v1/dead-letters/${behind}`)).json.retry_asked_at).not.toBeNull()
    expect((await drop(first!)).json.code).toBe('not_found')
    expect((await drop(operations[2]!, 'refunded+in+cash')).status).toBe(204)
    const dropped = (await cell.call('GET', '/v1/dead-letters/dropped')).json
    expect(dropped.data).toMatchObject([
      { id: operations[2], drop_reason: 'refunded in cash', dropped_by: null, reason: 'no_answer' },
      { id: first, drop_reason: 'settled by hand' },
    ])
    const page = (await cell.call('GET', '/v1/dead-letters/dropped?limit=1')).json
    const rest = (await cell.call('GET', `/v1/dead-letters/dropped?limit=1&cursor=${page.next_cursor}`)).json
    expect([...page.data, ...rest.data]).toEqual(dropped.data)
    expect(rest.next_cursor).toBeNull()
  })

  it('that are retried are tried again by whoever runs them', async () => {
    const { status, json } = await cell.call('POST', `/v1/dead-letters/${operations[0]}/retry`)
    expect(status).toBe(200)
    expect(json.id).toBe(operations[0])
    await eventually(async () => !idsOf(await list()).includes(operations[0]!))
    const [first, behind] = await giveUpEvents('sku:retried')
    expect((await cell.call('POST', `/v1/dead-letters/${behind}/retry`)).status).toBe(200)
    for (const id of [first, behind]) {
      expect((await cell.call('GET', `/v1/dead-letters/${id}`)).json.retry_asked_at).toMatch(/Z$/)
    }
  })

  it('that are retried by the same key are retried once, and answered as they were', async () => {
    const [first] = await giveUpEvents('sku:keyed')
    const path = `/v1/dead-letters/${first}/retry`
    expect((await cell.call('POST', path, { key: null })).json.code).toBe('idempotency_key_required')
    const key = randomUUID()
    const asked = await cell.call('POST', path, { key })
    expect(asked.status).toBe(200)
    expect((await drop(first!)).status).toBe(204)
    const again = await cell.call('POST', path, { key })
    expect([again.status, again.json]).toEqual([200, asked.json])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect((await cell.call('POST', path)).status).toBe(404)
    const other = await cell.call('POST', `/v1/dead-letters/${operations[1]}/retry`, { key })
    expect(other).toMatchObject({ status: 422, json: { code: 'idempotency_key_reused' } })
    await cell.database.transaction((session) =>
      session.run(`update runtime.request_keys set at = at - interval '9 days'`),
    )
    await forgetRequestKeys(cell.database)
    expect(await cell.database.query('select 1 from runtime.request_keys')).toHaveLength(0)
  })

  it('of webhooks are told, tried again and dropped like the others', async () => {
    const endpoint = { url: 'http://127.0.0.1:9/nobody', types: ['no.such'] }
    expect((await cell.call('POST', '/v1/webhook-endpoints', { body: endpoint })).status).toBe(201)
    await cell.database.transaction((session) =>
      session.run(
        `insert into webhooks.deliveries (shop_id, endpoint_id, event_id, type, subject, body, state, attempts, tries, reason)
         select 1, id, gen_random_uuid(), 'order.placed', 'sku:' || n, '{}', 'dead', 3, 3, 'tries_exhausted'
         from webhooks.endpoints, generate_series(1, 3) n`,
      ),
    )
    const found = await list('?kind=webhook_delivery')
    expect(found.data).toMatchObject(
      ['sku:3', 'sku:2', 'sku:1'].map((subject) => ({
        kind: 'webhook_delivery',
        order_id: null,
        reason: 'tries_exhausted',
        tries: 3,
        data: { subject },
      })),
    )
    const page = await list('?kind=webhook_delivery&limit=2')
    const rest = await list(`?kind=webhook_delivery&limit=2&cursor=${page.next_cursor}`)
    expect([...page.data, ...rest.data]).toEqual(found.data)
    const [retried, dropped] = idsOf(found)
    expect((await cell.call('GET', `/v1/dead-letters/${retried}`)).json).toEqual(found.data[0])
    expect((await cell.call('POST', `/v1/dead-letters/${retried}/retry`)).status).toBe(200)
    expect((await cell.call('GET', `/v1/dead-letters/${retried}`)).status).toBe(404)
    expect((await drop(dropped!)).status).toBe(204)
    expect(idsOf(await list('?kind=webhook_delivery'))).toEqual([idsOf(found)[2]])
  })

  it.each([
    ['GET', '/v1/dead-letters/nothing', 404, 'not_found'],
    ['GET', `/v1/dead-letters/event:${randomUUID()}`, 404, 'not_found'],
    ['GET', '/v1/dead-letters/operation:7', 404, 'not_found'],
    ['GET', '/v1/dead-letters/whd_nonsense', 404, 'not_found'],
    ['POST', `/v1/dead-letters/operation:${randomUUID()}/retry`, 404, 'not_found'],
    ['POST', '/v1/dead-letters/whd_nonsense/retry', 404, 'not_found'],
    ['DELETE', '/v1/dead-letters/event:x?reason=x', 404, 'not_found'],
    ['GET', '/v1/dead-letters?kind=mail', 400, 'invalid_parameter'],
    ['GET', '/v1/dead-letters?cursor=bm9uc2Vuc2U', 400, 'cursor_invalid'],
    [
      'GET',
      `/v1/dead-letters?cursor=${Buffer.from('payment_operation 7').toString('base64url')}`,
      400,
      'cursor_invalid',
    ],
    [
      'GET',
      `/v1/dead-letters?cursor=${Buffer.from('consumer_event a-b').toString('base64url')}`,
      400,
      'cursor_invalid',
    ],
    ['GET', `/v1/dead-letters/dropped?cursor=${Buffer.from('dropped a').toString('base64url')}`, 400, 'cursor_invalid'],
  ])('%s %s is %i %s', async (method, path, status, code) => {
    const answer = await cell.call(method, path)
    expect([answer.status, answer.json.code]).toEqual([status, code])
  })

  it('need their scopes, and are those of the shop alone', async () => {
    const request = { shopId: 1 as ShopId, kind: 'sk', name: 'reader', scopes: ['dead-letters:read'] } as const
    const { text } = await issueKey(cell.database, request, writing())
    expect((await cell.call('GET', '/v1/dead-letters', { as: text })).status).toBe(200)
    const denied = await cell.call('POST', `/v1/dead-letters/${operations[1]}/retry`, { as: text })
    expect(denied.json.code).toBe('forbidden')
    await cell.database.transaction((session) =>
      session.run(
        `insert into shops.shops (code, name, secret) values ('other', 'other', decode(repeat('00', 32), 'hex'))`,
      ),
    )
    const [other] = await cell.database.query<{ id: ShopId }>(`select id from shops.shops where code = 'other'`)
    const stranger = await issueKey(
      cell.database,
      { ...request, shopId: other!.id, scopes: ['dead-letters:read', 'dead-letters:write'] },
      writing(),
    )
    const [mine] = await giveUpEvents('sku:mine')
    const [delivery] = idsOf(await list('?kind=webhook_delivery'))
    for (const id of [operations[1]!, mine!, delivery!]) {
      expect((await cell.call('GET', `/v1/dead-letters/${id}`, { as: stranger.text })).status).toBe(404)
      expect((await cell.call('POST', `/v1/dead-letters/${id}/retry`, { as: stranger.text })).status).toBe(404)
      expect((await cell.call('DELETE', `/v1/dead-letters/${id}?reason=x`, { as: stranger.text })).status).toBe(404)
    }
    expect((await cell.call('GET', '/v1/dead-letters', { as: stranger.text })).json.data).toEqual([])
    expect((await cell.call('GET', '/v1/dead-letters/dropped', { as: stranger.text })).json.data).toEqual([])
  })
})
