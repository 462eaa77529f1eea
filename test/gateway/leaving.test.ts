// A cell leaves the others: it hands over what it has, answers for its orders until they are done, and goes for good. Real cells
// that talk to each other.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { runHoldfast } from '../support/holdfast.ts'
import { type HttpCell, orderBody, receive } from '../support/http-cell.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

let talking: TalkingCells
let eu1: HttpCell
let us1: HttpCell

beforeAll(async () => {
  talking = await openTalkingCells(['eu1', 'us1', 'ap1'])
  eu1 = talking.cells.eu1!
  us1 = talking.cells.us1!
}, 60_000)
afterAll(() => talking.stop())

const hasUnits = (cell: HttpCell, sku: string, name: string) =>
  eventually(async () => (await partOf(cell, sku, name))?.on_hand > 0, 10_000)
const partOf = async (cell: HttpCell, sku: string, name: string) =>
  (await cell.call('GET', `/v1/stock/${sku}`)).json.cells?.find((one: { cell: string }) => one.cell === name)
const place = (cell: HttpCell, sku: string, more: object = {}, key?: string) =>
  cell.call('POST', '/v1/orders', { body: orderBody(sku, 1, more), ...(key ? { key } : {}) })
const emptied = async (name: string) =>
  (await talking.cells[name]!.call('GET', '/v1/cells')).json.data.find((one: { name: string }) => one.name === name)
    .emptied
const knowsState = (cell: HttpCell, name: string, state: string) =>
  eventually(async () =>
    (await cell.call('GET', '/v1/cells')).json.topology.cells.some(
      (one: { name: string; state: string }) => one.name === name && one.state === state,
    ),
  )
const paidElsewhere = { payment: { provider: 'none' } }

test('what went between two cells is told by both, in pages, to who may audit', async () => {
  await receive(eu1, 'TOLD-1', 9)
  await receive(eu1, 'TOLD-2', 9)
  await hasUnits(us1, 'TOLD-2', 'us1')
  const first = await eu1.call('GET', '/v1/transfers?peer=us1&limit=1')
  expect(first.json).toMatchObject({ cell: 'eu1', peer: 'us1', data: [{ sku: 'TOLD-1', location: 'main' }] })
  const second = await eu1.call('GET', `/v1/transfers?peer=us1&cursor=${first.json.next_cursor}`)
  expect(second.json).toMatchObject({ data: [{ sku: 'TOLD-2', sent: { units: 3 }, received: { units: 0 } }] })
  expect(second.json.next_cursor).toBeNull()
  const taker = (await us1.call('GET', '/v1/transfers?peer=eu1')).json.data
  expect(taker.map((one: { received: object }) => one.received)).toEqual([
    { units: 3, allowance: 0 },
    { units: 3, allowance: 0 },
  ])
  expect((await eu1.call('GET', '/v1/transfers?peer=us1&cursor=x')).json.code).toBe('cursor_invalid')
  expect((await eu1.call('GET', '/v1/transfers?peer=us1', { as: 'pk_dev' })).json.code).toBe('forbidden')
})

test('an audit over all cells finds units conserved while they run', async () => {
  const audit = async () => {
    const ended = await runHoldfast(['audit', '--all', `--url=${eu1.url}`, '--key=sk_dev', '--json'])
    expect(ended.stderr).toBe('')
    return { code: ended.code, ...JSON.parse(ended.stdout.trimEnd().split('\n').at(-1)!) }
  }
  await receive(eu1, 'AUDITED', 30)
  const all = await audit()
  expect(all).toMatchObject({ code: 0, consistent: true, missing: [], faults: [] })
  expect(all.cells.map(({ cell }: { cell: string }) => cell).sort()).toEqual(['ap1', 'eu1', 'us1'])
  expect(all.sums.received).toBe(all.sums.on_hand + all.in_flight.at_most)
  const own = (await eu1.call('GET', '/v1/audit?fresh=true')).json
  expect(own.sums.in_flight).toBe(0) // all of it is confirmed
  await us1.database.transaction((session) =>
    session.run("update stock.transfers set received_units = received_units + 1 where peer = 'eu1'"),
  )
  expect(await audit()).toMatchObject({ code: 1, consistent: false })
  await us1.database.transaction((session) =>
    session.run("update stock.transfers set received_units = received_units - 1 where peer = 'eu1'"),
  )
})

describe('a cell that drains', () => {
  test('hands its units over, and takes them up again when it is active again', async () => {
    await receive(eu1, 'BACK', 30)
    await hasUnits(us1, 'BACK', 'us1')
    expect((await talking.setState('us1', 'draining')).status).toBe(200)
    await eventually(async () => (await partOf(us1, 'BACK', 'us1')).on_hand === 0, 10_000)
    await knowsState(eu1, 'us1', 'draining')
    await receive(eu1, 'BACK', 9)
    expect((await partOf(eu1, 'BACK', 'us1')).on_hand).toBe(0)
    expect((await talking.setState('us1', 'active')).status).toBe(200)
    await knowsState(eu1, 'us1', 'active')
    const placed = await place(us1, 'BACK', {}, `us1.${crypto.randomUUID()}`)
    expect([placed.status, placed.json.home_cell ?? placed.json.id.slice(0, 7)]).toEqual([
      201,
      expect.stringMatching(/us1/),
    ])
    await us1.call('POST', `/v1/orders/${placed.json.id}/cancel`, { body: { reason: 'buyer' } })
  })

  test('leaves when its orders are done and all has arrived, for good; no unit is lost', async () => {
    await receive(eu1, 'LAST', 30)
    await receive(eu1, 'GROUPED', 3)
    await us1.call('PUT', '/v1/stock/LAST/policy', { body: { allowance: 6 } })
    await hasUnits(us1, 'LAST', 'us1')
    const key = () => `us1.${crypto.randomUUID()}`
    const hold = await us1.call('POST', '/v1/holds', {
      body: { lines: [{ sku: 'LAST', quantity: 1 }], ttl_seconds: 600 },
      key: key(),
    })
    const [unpaid, paid] = [await place(us1, 'LAST', {}, key()), await place(us1, 'LAST', paidElsewhere, key())]
    for (const { status } of [hold, unpaid, paid]) expect(status).toBe(201)
    expect((await us1.call('PUT', '/v1/locations/main', { body: { name: 'Main', cell: 'us1' } })).status).toBe(200)
    await talking.setState('us1', 'draining')

    const elsewhere = await place(us1, 'LAST')
    expect([elsewhere.status, elsewhere.json.id]).toEqual([201, expect.not.stringMatching(/^ord_us1/)])
    const refused = async () => {
      expect(await emptied('us1')).toBe(false)
      return (await talking.setState('us1', 'removed')).json
    }
    expect(await refused()).toMatchObject({ code: 'cell_not_emptied', detail: expect.stringMatching(/main/) })
    await us1.call('PUT', '/v1/locations/main', { body: { name: 'Main', cell: 'eu1' } })
    await us1.call('DELETE', `/v1/holds/${hold.json.id}`)
    await us1.call('POST', `/v1/orders/${unpaid.json.id}/cancel`, { body: { reason: 'buyer' } })
    expect(await refused()).toMatchObject({ code: 'cell_not_emptied' })
    const shipment = { carrier: 'DHL', tracking_number: '1' }
    expect((await us1.call('POST', `/v1/orders/${paid.json.id}/shipments`, { body: shipment })).status).toBe(201)
    await eventually(async () => await emptied('us1'), 15_000)
    expect((await talking.setState('us1', 'removed')).status).toBe(200)
    await knowsState(eu1, 'us1', 'removed')
    const metrics = async () => (await eu1.call('GET', '/metrics')).text
    await eventually(async () => !/(peer_up|replica_age_seconds)\{[^}]*"us1"/.test(await metrics())) // it is not followed any more
    expect(await metrics()).toMatch(/peer_up\{[^}]*"ap1"/)

    const gone = await eu1.call('GET', `/v1/orders/${paid.json.id}`)
    expect([gone.status, gone.json.code]).toEqual([410, 'cell_removed'])
    await eventually(async () => {
      const { json } = await eu1.call('GET', '/v1/stock/LAST')
      return json.on_hand === 29 && json.in_flight === 0 && json.available === 34
    }, 10_000)
    expect((await talking.setState('us1', 'active')).json.code).toBe('topology_invalid')
    const back = await eu1.call('PUT', '/v1/stock/LAST/policy', { body: { allowance: 2 } })
    expect(back.status).toBe(200)
    expect((await eu1.call('GET', '/v1/stock/LAST')).json.allowance).toBe(2)
  })
})
