// Keys that another cell has taken than they name, and orders of one key in two cells: real cells that read each other's logs and
// ask each other.
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parseWireId } from '../../src/base/ids.ts'
import { keyTables } from '../../src/modules/orders/store.ts'
import { eventually } from '../support/eventually.ts'
import { type Answer, type HttpCell, orderBody, receive } from '../support/http-cell.ts'
import { type HttpCells, openHttpCells } from '../support/http-cells.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

let talking: TalkingCells
let [eu1, us1] = [] as unknown as [HttpCell, HttpCell]

beforeAll(async () => {
  talking = await openTalkingCells(['eu1', 'us1'])
  ;[eu1, us1] = [talking.cells.eu1!, talking.cells.us1!]
  for (const sku of ['DRAIN', 'TWICE', 'LATE']) {
    await receive(eu1, sku, 40)
    await eventually(async () => {
      const { json } = await us1.call('GET', `/v1/stock/${sku}`)
      return json.cells?.find((one: { cell: string }) => one.cell === 'us1')?.on_hand > 0
    }, 10_000)
  }
}, 60_000)
afterAll(() => talking.stop())

const newKey = (name = 'any'): string => `${name}.${randomUUID()}`.replace('any.', 'any-')
const paidElsewhere = { payment: { provider: 'none' } }
const place = (cell: HttpCell, sku: string, key: string, more: object = {}): Promise<Answer> =>
  cell.call('POST', '/v1/orders', { key, body: orderBody(sku, 1, more) })
const placeLine = async (cell: HttpCell, sku: string, key: string) => {
  const body = JSON.stringify({ ...orderBody(sku), idempotency_key: key })
  const headers = { 'content-type': 'application/x-ndjson' }
  const answer = await cell.call('POST', '/v1/orders/bulk', { key: null, body, headers })
  return JSON.parse(answer.text)
}
const orderIn = async (cell: HttpCell, { json }: Answer) => (await cell.call('GET', `/v1/orders/${json.id}`)).json
const isActive = async (cell: HttpCell, name: string, state: string) =>
  (await cell.call('GET', '/v1/cells')).json.topology.cells.some(
    (one: { name: string; state: string }) => one.name === name && one.state === state,
  )
async function setState(name: string, state: 'active' | 'draining') {
  expect((await talking.setState(name, state)).status).toBe(200)
  for (const cell of [eu1, us1]) await eventually(() => isActive(cell, name, state))
}
const keysOf = (cell: HttpCell, id: string) =>
  cell.database.query<{ shop_id: number; hash: string; request: string; taken_by: string | null }>(
    keyTables.map((table) => `select * from ${table} where result_id = $1`).join(' union all '),
    [id],
  )
const uuidOf = (id: string): string => parseWireId(id)!.uuid

describe('a key that names a cell which takes nothing new', () => {
  test('is taken by another, and its order is answered from there when the first takes orders again', async () => {
    const key = newKey('us1')
    await setState('us1', 'draining')
    const placed = await place(us1, 'DRAIN', key, paidElsewhere)
    expect([placed.status, placed.json.id]).toEqual([201, expect.stringMatching(/^ord_eu1_/)])
    const uuid = uuidOf(placed.json.id)
    await eventually(async () => (await keysOf(us1, uuid)).length > 0)
    expect(await keysOf(us1, uuid)).toMatchObject([{ taken_by: 'eu1' }])
    for (const state of ['draining', 'active'] as const) {
      await setState('us1', state)
      for (const cell of [us1, eu1]) {
        const again = await place(cell, 'DRAIN', key, paidElsewhere)
        expect([again.status, again.json.id]).toEqual([201, placed.json.id])
        expect(again.headers.get('idempotent-replayed')).toBe('true')
      }
    }
    expect((await place(us1, 'TWICE', key)).json).toMatchObject({ status: 422, code: 'idempotency_key_reused' })
  })

  test('and a hold likewise', async () => {
    const key = newKey('us1')
    const body = { lines: [{ sku: 'DRAIN', quantity: 1 }], ttl_seconds: 600 }
    await setState('us1', 'draining')
    const hold = (cell: HttpCell, more: object = {}) =>
      cell.call('POST', '/v1/holds', { key, body: { ...body, ...more } })
    const held = await hold(us1)
    expect([held.status, held.json.id]).toEqual([201, expect.stringMatching(/^hld_eu1_/)])
    await eventually(async () => (await keysOf(us1, uuidOf(held.json.id))).length > 0)
    await setState('us1', 'active')
    for (const cell of [us1, eu1]) {
      const again = await hold(cell)
      expect([again.status, again.json.id]).toEqual([201, held.json.id])
      expect(again.headers.get('idempotent-replayed')).toBe('true')
    }
    expect((await hold(us1, { ttl_seconds: 60 })).json.code).toBe('idempotency_key_reused')
  })

  test('and a line of a bulk request likewise', async () => {
    const key = newKey('us1')
    await setState('us1', 'draining')
    const placed = await placeLine(us1, 'DRAIN', key)
    expect(placed.order.cell).toBe('eu1')
    await setState('us1', 'active')
    const uuid = uuidOf(placed.order.id)
    await eventually(async () => (await keysOf(us1, uuid)).length > 0)
    expect(await placeLine(us1, 'DRAIN', key)).toMatchObject({
      status: 201,
      replayed: true,
      order: { id: placed.order.id },
    })
  })
})

describe('two orders of one key', () => {
  test('in two regions meet: the younger is the other’s duplicate', async () => {
    const key = newKey()
    const placed = await Promise.all([place(eu1, 'TWICE', key), place(us1, 'TWICE', key)])
    expect(placed.map(({ json }) => json.cell)).toEqual(['eu1', 'us1'])
    const both = () => Promise.all([orderIn(eu1, placed[0]!), orderIn(us1, placed[1]!)])
    await eventually(async () => (await both()).some(({ status }) => status === 'cancelled'), 10_000)
    const orders = await both()
    const younger = orders.find(({ status }) => status === 'cancelled')
    const elder = orders.find(({ id }) => id !== younger.id)
    expect(younger).toMatchObject({ cancel_reason: 'duplicate', superseded_by: elder.id })
    expect(elder.status).toBe('pending')
    expect(younger.id.slice(8) > elder.id.slice(8)).toBe(true)
  })

  test('one of them where the key says: an elder that nobody paid gives way to a younger that was paid', async () => {
    const elder = await place(us1, 'LATE', newKey('us1'))
    const younger = await place(eu1, 'LATE', newKey('eu1'), paidElsewhere)
    const [key] = await keysOf(us1, uuidOf(elder.json.id))
    const data = { shop_id: key!.shop_id, order_id: younger.json.id, names: 'us1' }
    const hashes = { key_hash: key!.hash.replaceAll('-', ''), request_hash: key!.request.replaceAll('-', '') }
    // As eu1 would have told it, had it taken the key while us1 could not be asked.
    const insert = `insert into runtime.events (shop_id, event_id, subject, subject_version, type, at, data)
      values (0, $1, $2, 1, 'order.keyed', now(), $3::json)`
    const told = [randomUUID(), `key:${younger.json.id}`, JSON.stringify({ ...data, ...hashes })]
    await eu1.database.transaction((session) => session.run(insert, told))
    await eventually(async () => (await orderIn(us1, elder)).status === 'cancelled', 10_000)
    expect(await orderIn(us1, elder)).toMatchObject({ cancel_reason: 'duplicate', superseded_by: younger.json.id })
    expect(await orderIn(eu1, younger)).toMatchObject({ status: 'confirmed' })
  })
})

describe('a key that is known to be taken by another cell', () => {
  let all: HttpCells
  const key = newKey('eu1')
  let placed: Answer
  beforeAll(async () => {
    all = await openHttpCells(['eu1', 'us1', 'ap1'])
    const { eu1: home, us1: taker, ap1: third } = all.cells
    for (const cell of [home!, taker!, third!]) await receive(cell, 'A-1', 10)
    const body = JSON.stringify(orderBody('A-1'))
    const sent = { authorization: 'Bearer sk_dev', 'idempotency-key': key, 'content-type': 'application/json' }
    const told = { ...sent, 'holdfast-hops': '1', 'holdfast-placed-here': 'true' }
    const headers = all.signed('eu1', 'us1', 'POST', '/v1/orders', { headers: told, body })
    placed = await taker!.call('POST', '/v1/orders', { key, body, headers })
    const [row] = await keysOf(taker!, uuidOf(placed.json.id))
    await home!.database.transaction((session) =>
      session.run(`insert into ${keyTables[0]} select $1, $2, $3, $4, 'us1'`, [
        ...[row!.shop_id, row!.hash, row!.request, uuidOf(placed.json.id)],
      ]),
    )
  }, 60_000)
  afterEach(() => {
    all.down.clear()
    all.change({ eu1: { state: 'active' }, us1: { state: 'active' } })
  })
  afterAll(() => all.stop())

  const isPlaced = async (cell: HttpCell) => {
    const { status, json, headers: told } = await place(cell, 'A-1', key)
    expect([status, json.id, told.get('idempotent-replayed')]).toEqual([201, placed.json.id, 'true'])
  }

  test('was told of by the cell that took it, with the name in it', async () => {
    const events = await all.cells.us1!.database.query<{ data: object }>(
      `select data from runtime.events where type = 'order.keyed'`,
    )
    expect(events).toMatchObject([{ data: { order_id: placed.json.id, names: 'eu1' } }])
  })

  test('is answered from there, wherever it comes in', async () => {
    for (const cell of Object.values(all.cells)) await isPlaced(cell)
    all.change({ eu1: { state: 'draining' } })
    for (const cell of Object.values(all.cells)) await isPlaced(cell)
  })

  test('is 503 while that cell is out of reach, and never a second order', async () => {
    all.down.add('us1')
    for (const state of ['active', 'draining'] as const) {
      all.change({ eu1: { state } })
      const refused = await place(all.cells.eu1!, 'A-1', key)
      expect([refused.status, refused.json.code, refused.headers.get('retry-after')]).toEqual([
        503,
        'cell_unreachable',
        '1',
      ])
    }
    expect(await placeLine(all.cells.eu1!, 'A-1', key)).toMatchObject({ problem: { code: 'cell_unreachable' } })
    const orders = await all.cells.eu1!.database.query('select id from orders.states')
    expect(orders).toEqual([])
  })

  test('is gone when that cell has left', async () => {
    all.change({ us1: { state: 'removed' } })
    expect((await place(all.cells.eu1!, 'A-1', key)).json).toMatchObject({ status: 410, code: 'cell_removed' })
  })
})
