// What one cell has and another one needs: goods of what was sold by right, groups that stay together, SKUs that only some regions
// sell. Real cells that talk to each other.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, orderBody, receive } from '../support/http-cell.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

let talking: TalkingCells
let eu1: HttpCell
let us1: HttpCell

beforeAll(async () => {
  talking = await openTalkingCells(['eu1', 'us1'])
  eu1 = talking.cells.eu1!
  us1 = talking.cells.us1!
}, 60_000)
afterAll(() => talking.stop())

const partOf = async (cell: HttpCell, sku: string, name: string) =>
  (await cell.call('GET', `/v1/stock/${sku}`)).json.cells?.find((one: { cell: string }) => one.cell === name)
const place = (cell: HttpCell, name: string, lines: string[], more: object = {}) => {
  const bodies = lines.map((sku) => orderBody(sku).lines[0])
  const body = { ...orderBody('x'), lines: bodies, ...more }
  return cell.call('POST', '/v1/orders', { body, key: `${name}.${crypto.randomUUID()}` })
}
const setPolicy = async (sku: string, body: object) => {
  expect((await eu1.call('PUT', `/v1/stock/${sku}/policy`, { body })).status).toBe(200)
  await eventually(async () => (await us1.call('GET', `/v1/stock/${sku}/policy`)).status === 200, 10_000)
}
const paid = { payment: { provider: 'none' } }

describe('goods of what was sold by right', () => {
  test('are gathered from the cell that has them when a parcel is to leave', async () => {
    await setPolicy('RIGHT', { allowance: 3 })
    const placed = await place(us1, 'us1', ['RIGHT'], paid)
    expect(placed.status).toBe(201)
    const ship = () =>
      us1.call('POST', `/v1/orders/${placed.json.id}/shipments`, { body: { carrier: 'DHL', tracking_number: '1' } })
    expect((await ship()).json.code).toBe('insufficient_stock')
    await receive(eu1, 'RIGHT', 1)
    expect((await partOf(eu1, 'RIGHT', 'eu1')).on_hand).toBe(1)
    await eventually(async () => (await ship()).status === 201)
    expect((await eu1.call('GET', '/v1/stock/RIGHT')).json.on_hand).toBe(0)
  })
})

describe('a SKU that only another cell has ever had', () => {
  test('is sold out when that one has sold it, and not unknown', async () => {
    await receive(eu1, 'LAST', 1)
    expect((await place(eu1, 'eu1', ['LAST'], paid)).status).toBe(201)
    const [rows] = await us1.database.query<{ count: number }>(`select count(*) from stock.rows where sku = 'LAST'`)
    expect(Number(rows!.count)).toBe(0)
    const refused = await place(us1, 'us1', ['LAST'])
    expect([refused.status, refused.json.code]).toEqual([409, 'insufficient_stock'])
    expect(refused.json.errors).toMatchObject([{ sku: 'LAST', requested: 1, available: 0 }])
    expect((await place(us1, 'us1', ['NEVER-WAS'])).json.code).toBe('sku_not_found')
  })
})

describe('a group', () => {
  const group = async (name: string, skus: string[]) => {
    const policies = skus.map((sku) => ({ sku, group: name }))
    // The other cell sends it on to the home of policies.
    const set = await us1.call('PUT', '/v1/stock/policies', { body: { policies } })
    expect([set.status, set.json.data]).toEqual([200, policies.map((policy) => expect.objectContaining(policy))])
    for (const sku of skus)
      await eventually(async () => (await us1.call('GET', `/v1/stock/${sku}/policy`)).status === 200, 10_000)
  }

  test('stays in one cell, and an order for it in the other is sent on and answered', async () => {
    await group('hall', ['H-1', 'H-2'])
    await receive(eu1, 'H-1', 5)
    await receive(eu1, 'H-2', 5)
    expect((await partOf(eu1, 'H-1', 'us1'))?.on_hand ?? 0).toBe(0)
    const body = { ...orderBody('H-1'), lines: ['H-1', 'H-2'].map((sku) => orderBody(sku).lines[0]) }
    const placed = await us1.call('POST', '/v1/orders', { body })
    expect([placed.status, placed.json.id]).toEqual([201, expect.stringMatching(/^ord_eu1_/)])
    expect((await us1.call('GET', `/v1/orders/${placed.json.id}`)).status).toBe(200)
  })

  test('of another cell is no hindrance to an order over both', async () => {
    await eu1.call('PUT', '/v1/locations/west', { body: { name: 'West', cell: 'us1' } })
    await eventually(async () => (await us1.call('GET', '/v1/locations')).json.data.length === 2)
    await group('play', ['P-1'])
    await receive(eu1, 'P-1', 2, 'west')
    await group('opera', ['O-1'])
    await receive(eu1, 'O-1', 2)
    await eventually(async () => (await partOf(us1, 'P-1', 'us1'))?.on_hand === 2)
    const body = { ...orderBody('O-1'), lines: ['O-1', 'P-1'].map((sku) => orderBody(sku).lines[0]) }
    const placed = await us1.call('POST', '/v1/orders', { body })
    expect(placed.status).toBe(201)
  })
})

describe('a SKU that only some regions sell', () => {
  test('is sold in their cells, and nowhere else', async () => {
    await setPolicy('ONLY-US', { regions: ['us'] })
    await receive(eu1, 'ONLY-US', 4)
    await eventually(async () => (await partOf(us1, 'ONLY-US', 'us1'))?.on_hand === 4, 10_000)
    const refused = await place(eu1, 'eu1', ['ONLY-US'])
    expect([refused.status, refused.json.code]).toEqual([409, 'insufficient_stock'])
    expect((await place(us1, 'us1', ['ONLY-US'])).status).toBe(201)
  })

  test('goes to them when it was sold elsewhere before', async () => {
    await receive(eu1, 'MOVES', 4)
    await setPolicy('MOVES', { regions: ['us'] })
    await eventually(async () => (await partOf(us1, 'MOVES', 'us1'))?.on_hand === 4, 10_000)
    expect((await place(eu1, 'eu1', ['MOVES'])).json.code).toBe('insufficient_stock')
  })
})

describe('what nobody counts', () => {
  test('makes no SKU that was received with it endless in the other cell', async () => {
    await setPolicy('ENDLESS', { tracking: 'none' })
    const adjustments = ['ENDLESS', 'FEW'].map((sku) => ({ sku, delta: 10, reason: 'received' }))
    expect((await eu1.call('POST', '/v1/stock/adjustments', { body: { adjustments } })).status).toBe(200)
    await eventually(async () => (await partOf(us1, 'FEW', 'us1'))?.on_hand === 5)
    const lines = [{ ...orderBody('FEW').lines[0], quantity: 100 }]
    const placed = await us1.call('POST', '/v1/orders', { body: { ...orderBody('FEW'), lines } })
    expect(placed.json).toMatchObject({ status: 409, code: 'insufficient_stock' })
  })
})
