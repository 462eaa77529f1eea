// What was lost, and what somebody decides to write off, at a place of which several cells have units. Real cells that talk to each
// other.
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

const adjust = (sku: string, delta: number, reason: string) =>
  eu1.call('POST', '/v1/stock/adjustments', { body: { adjustments: [{ sku, delta, reason }] } })
const stockOf = async (sku: string) => (await eu1.call('GET', `/v1/stock/${sku}`)).json

/** Half of them in each cell; `shipped` of us1's have left, `sold` are sold there. */
async function given(sku: string, units: number, { shipped = 0, sold = 0 } = {}): Promise<void> {
  await receive(eu1, sku, units)
  const inUs = async () => (await stockOf(sku)).cells.find((one: { cell: string }) => one.cell === 'us1')?.on_hand
  await eventually(async () => (await inUs()) === units / 2, 10_000)
  for (const quantity of [shipped, sold].filter((one) => one > 0)) {
    const body = orderBody(sku, quantity, { payment: { provider: 'none' } })
    const placed = await us1.call('POST', '/v1/orders', { body, key: `us1.${crypto.randomUUID()}` })
    expect(placed.status).toBe(201)
    if (quantity === sold) continue
    const parcel = { carrier: 'DHL', tracking_number: '1' }
    expect((await us1.call('POST', `/v1/orders/${placed.json.id}/shipments`, { body: parcel })).status).toBe(201)
  }
}

describe('a loss', () => {
  test('beyond what is here is refused where others have shipped the rest, and nothing is owed for ever', async () => {
    await given('SHIPPED', 20, { shipped: 8 })
    expect((await adjust('SHIPPED', -13, 'lost')).json).toMatchObject({ status: 409, code: 'insufficient_stock' })
    expect((await adjust('SHIPPED', -12, 'lost')).status).toBe(200)
    await eventually(async () => (await stockOf('SHIPPED')).on_hand === 0, 10_000)
    expect(await stockOf('SHIPPED')).toMatchObject({ on_hand: 0, available: 0, short: 0 })
    await receive(eu1, 'SHIPPED', 1)
    expect(await stockOf('SHIPPED')).toMatchObject({ on_hand: 1, available: 1, short: 0 })
  })

  test('of units that others have sold leaves the SKU short', async () => {
    await given('SOLD', 20, { sold: 9 })
    expect((await adjust('SOLD', -12, 'damaged')).status).toBe(200)
    await eventually(async () => (await stockOf('SOLD')).short === 1, 10_000)
  })
})

describe('a correction', () => {
  test('below what is here takes the units that another cell has free', async () => {
    await given('WRONG', 20)
    expect((await adjust('WRONG', -15, 'correction')).status).toBe(200)
    await eventually(async () => (await stockOf('WRONG')).on_hand === 5, 10_000)
  })

  test('is refused when nobody has them free', async () => {
    await given('TAKEN', 20, { sold: 8 })
    const refused = await adjust('TAKEN', -13, 'correction')
    expect(refused.json).toMatchObject({ status: 409, code: 'insufficient_stock' })
    await eventually(async () => (await stockOf('TAKEN')).on_hand === 20, 10_000)
    expect((await adjust('TAKEN', -12, 'correction')).status).toBe(200)
  })

  test('takes the units of a group that lives elsewhere too', async () => {
    await eu1.call('PUT', '/v1/locations/west', { body: { name: 'West', cell: 'us1' } })
    await eventually(async () => (await us1.call('GET', '/v1/locations')).json.data.length === 2, 10_000)
    expect((await receive(eu1, 'GROUPED', 4, 'west')).status).toBe(200)
    expect((await eu1.call('PUT', '/v1/stock/GROUPED/policy', { body: { group: 'hall' } })).status).toBe(200)
    expect((await stockOf('GROUPED')).cells[0]).toMatchObject({ cell: 'eu1', on_hand: 2 })
    const adjustments = [{ sku: 'GROUPED', delta: -4, reason: 'correction', location: 'west' }]
    const answer = await eu1.call('POST', '/v1/stock/adjustments', { body: { adjustments } })
    expect(answer.json).toMatchObject({ data: [{ sku: 'GROUPED', on_hand: 0 }] })
  })
})

test('lines of a bulk request that come together are told to the other cell together', async () => {
  const told: string[] = []
  us1.app.server.on('request', ({ url = '' }) => void (/credit|levels/.test(url) && told.push(url)))
  const lineOf = (change: object, at: number) =>
    JSON.stringify({ idempotency_key: crypto.randomUUID(), sku: `BULK-${at}`, ...change })
  const send = async (change: object) => {
    const body = Array.from({ length: 300 }, (_, at) => `${lineOf(change, at)}\n`).join('')
    const headers = { 'content-type': 'application/x-ndjson' }
    const answer = await eu1.call('POST', '/v1/stock/bulk', { body, headers, key: null })
    return answer.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  }
  for (const { status, data } of await send({ delta: 4, reason: 'received' }))
    expect([status, data[0].on_hand]).toEqual([200, 4])
  for (const { status, data } of await send({ set: 6, reason: 'counted' }))
    expect([status, data[0].on_hand]).toEqual([200, 6])
  expect(told.length).toBeLessThan(200)
})

test('while a cell is out of reach, what is here suffices for itself, and nothing is said of what is not', async () => {
  await given('CUT', 20)
  await us1.app.close()
  expect((await adjust('CUT', -4, 'lost')).status).toBe(200)
  expect((await adjust('CUT', -4, 'correction')).status).toBe(200)
  const unknown = { status: 503, code: 'cell_unreachable', may_have_happened: false }
  expect((await adjust('CUT', -4, 'lost')).json).toMatchObject(unknown)
  expect((await adjust('CUT', -4, 'correction')).json).toMatchObject(unknown)
})
