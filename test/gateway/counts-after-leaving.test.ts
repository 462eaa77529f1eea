// A cell that has left took its totals with it: what went there is where it was sent on, or sold, and a count of the place is right.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, orderBody, receive } from '../support/http-cell.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

const sold = 9
let talking: TalkingCells
let eu1: HttpCell
let us1: HttpCell

beforeAll(async () => {
  talking = await openTalkingCells(['eu1', 'us1', 'ap1'])
  eu1 = talking.cells.eu1!
  us1 = talking.cells.us1!
}, 60_000)
afterAll(() => talking.stop())

const level = async (sku: string) => (await eu1.call('GET', `/v1/stock/${sku}`)).json
const isSettled = async (sku: string, onHand: number) => {
  const { on_hand, in_flight } = await level(sku)
  return on_hand === onHand && in_flight === 0
}
const adjust = (adjustment: object) =>
  eu1.call('POST', '/v1/stock/adjustments', { body: { adjustments: [adjustment] } })

const homeIs = async (cell: string) => {
  expect((await us1.call('PUT', '/v1/locations/wh', { body: { name: 'Warehouse', cell } })).status).toBe(200)
  const at = async () => (await eu1.call('GET', '/v1/locations')).json.data as { code: string; cell: string }[]
  await eventually(async () => (await at()).some((one) => one.code === 'wh' && one.cell === cell))
}

async function leaves(name: string): Promise<void> {
  await talking.setState(name, 'draining')
  type Seen = { name: string; emptied: boolean }
  const isEmptied = async () =>
    ((await talking.cells[name]!.call('GET', '/v1/cells')).json.data as Seen[]).find((one) => one.name === name)!
      .emptied
  await eventually(isEmptied, 20_000)
  expect((await talking.setState(name, 'removed')).status).toBe(200)
  const known = async () =>
    (await eu1.call('GET', '/v1/cells')).json.topology.cells as { name: string; state: string }[]
  await eventually(async () => (await known()).some((one) => one.name === name && one.state === 'removed'))
}

test('what a cell received, gave on and sold before it left is neither found nor lost by a count', async () => {
  await homeIs('us1')
  await receive(us1, 'CAME', 50, 'wh')
  await receive(eu1, 'SOLD', 50)
  for (const sku of ['CAME', 'SOLD']) await eventually(() => isSettled(sku, 50), 10_000)
  await homeIs('eu1')
  for (let order = 0; order < sold; order++) {
    const body = orderBody('SOLD', 1, { payment: { provider: 'none' } })
    const { json } = await us1.call('POST', '/v1/orders', { key: `us1.${crypto.randomUUID()}`, body })
    const parcel = { carrier: 'PostNL', tracking_number: '1' }
    expect((await us1.call('POST', `/v1/orders/${json.id}/shipments`, { body: parcel })).status).toBe(201)
  }
  await leaves('us1')
  await eventually(() => isSettled('SOLD', 50 - sold), 10_000)

  expect((await adjust({ sku: 'CAME', location: 'wh', set: 50, reason: 'counted' })).json.data[0].on_hand).toBe(50)
  expect((await adjust({ sku: 'SOLD', set: 41, reason: 'counted' })).json.data[0].on_hand).toBe(41)
  expect((await adjust({ sku: 'SOLD', delta: -42, reason: 'lost' })).json.code).toBe('insufficient_stock')
  expect((await adjust({ sku: 'SOLD', delta: -32, reason: 'lost' })).status).toBe(200)
  await eventually(() => isSettled('SOLD', 9), 10_000)
}, 90_000)
