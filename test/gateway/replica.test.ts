// What cells tell each other stays between them; and a cell that has not heard of its shop says so.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CellName, ShopId } from '../../src/base/ids.ts'
import { shopReplicas } from '../../src/modules/shops/replica.ts'
import { issueKey, withdrawKey } from '../../src/modules/shops/service.ts'
import { stockReplicas } from '../../src/modules/stock/replica.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { deliver, logOf } from '../support/replicas.ts'
import { writing } from '../support/writing.ts'

let cell: HttpCell
let other: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  other = await openHttpCell({}, { isFirst: false })
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  expect(other.faults).toMatchObject([{ msg: 'unavailable', reason: 'the cell has not received its shop yet' }])
  await Promise.all([cell.stop(), other.stop()])
})

const internal = ['shop.set', 'key.set', 'settings.set', 'location.set']

test('secrets, hashes of keys and settings are in no page and no stream of events, whatever is asked for', async () => {
  const shopId = 1 as ShopId
  const request = { shopId, kind: 'sk', name: 'all events', scopes: ['events:read'] } as const
  const { key, text } = await issueKey(cell.database, request, writing())
  const revoked = await issueKey(cell.database, request, writing())
  await withdrawKey(cell.database, { shopId, id: revoked.key.id }, writing().cell)
  await cell.call('PUT', '/v1/settings', { body: { reservation_seconds: 120 } })
  await cell.call('PUT', '/v1/locations/north', { body: { name: 'North' } })
  await receive(cell, 'A-1', 1)
  const { json: order } = await cell.call('POST', '/v1/orders', { body: orderBody('A-1') }) // later than all of them
  const inLog = (await logOf(cell)).filter(({ type }) => internal.includes(type))
  expect(new Set(inLog.map(({ type }) => type))).toEqual(new Set(internal))
  const [stored] = await cell.database.query<{ secret: string; hash: string }>(
    `select encode(secret, 'hex') as secret, encode(hash, 'hex') as hash from shops.shops, shops.keys where keys.id = $1`,
    [key.id],
  )
  expect(inLog.some(({ data }) => data.includes(stored!.secret))).toBe(true)

  const stream = new AbortController()
  const answer = await fetch(`${cell.url}/v1/events`, {
    headers: { authorization: `Bearer ${text}`, accept: 'text/event-stream' },
    signal: stream.signal,
  })
  let streamed = ''
  const reading = (async () => {
    for await (const chunk of answer.body!) streamed += new TextDecoder().decode(chunk)
  })().catch(() => {})
  await eventually(() => streamed.includes(order.id))
  stream.abort()
  await reading
  const pages = await Promise.all(
    ['', '&types=*', '&types=shop.*,key.*,settings.*,location.*', '&types=key.set'].flatMap((types) =>
      ['sk_dev', text].map((as) => cell.call('GET', `/v1/events?limit=200${types}`, { as })),
    ),
  )
  expect(pages.map(({ status }) => status)).toEqual(pages.map(() => 200))
  for (const told of [streamed, ...pages.map((page) => page.text)]) {
    for (const hidden of [...internal, stored!.secret, stored!.hash, 'written_by']) expect(told).not.toContain(hidden)
  }
})

test('a cell that has not received its shop is not ready, and serves as soon as it has', async () => {
  const ready = () => other.call('GET', '/readyz', { as: null })
  expect((await ready()).json).toEqual({ status: 'unready', reasons: ['shop_not_received'] })
  const early = await other.call('GET', '/v1/orders')
  expect([early.status, early.json.code, early.headers.get('retry-after')]).toEqual([503, 'unavailable', '1']) // no wrong key
  const log = await logOf(cell)
  const receiver = { database: other.database, kinds: [...shopReplicas({ forget: () => {} }), ...stockReplicas] }
  const place = (type: string) => log.findIndex((event) => event.type === type) + 1
  await deliver('eu1' as CellName, receiver, log.slice(0, place('shop.set')))
  expect((await ready()).status).toBe(503) // without a location it could not take an item in
  await deliver('eu1' as CellName, receiver, log.slice(0, place('location.set')))
  expect((await ready()).json).toEqual({ status: 'ready', reasons: [] })
  expect((await receive(other, 'A-1', 5)).status).toBe(200)
})
