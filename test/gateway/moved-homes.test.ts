// The home of a location may be moved while an adjustment there is sent again: it is carried out once, wherever its key was decided.
// Real cells that talk to each other.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import type { Answer, HttpCell } from '../support/http-cell.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

let talking: TalkingCells
let eu1: HttpCell
let us1: HttpCell
let ap1: HttpCell

beforeAll(async () => {
  talking = await openTalkingCells(['eu1', 'us1', 'ap1'])
  eu1 = talking.cells.eu1!
  us1 = talking.cells.us1!
  ap1 = talking.cells.ap1!
}, 60_000)
afterAll(() => talking.stop())

let count = 0
/** A location of its own, a key and an adjustment under it. */
async function receipt(first: string) {
  const location = `wh-${++count}`
  const sku = `S-${count}`
  const key = crypto.randomUUID()
  const adjustment = { sku, location, delta: 8, reason: 'received' }
  const sendTo = (cell: HttpCell, other: object = {}): Promise<Answer> =>
    cell.call('POST', '/v1/stock/adjustments', { key, body: { adjustments: [{ ...adjustment, ...other }] } })
  const homeIn = async (cell: HttpCell) =>
    (await cell.call('GET', '/v1/locations')).json.data.find((one: { code: string }) => one.code === location)?.cell
  async function moveTo(name: string, heardBy = [eu1, us1, ap1]): Promise<void> {
    const body = { name: 'Warehouse', cell: name }
    expect((await ap1.call('PUT', `/v1/locations/${location}`, { body })).status).toBe(200)
    for (const cell of heardBy) await eventually(async () => (await homeIn(cell)) === name)
  }
  /** As it is in a cell that has not heard of the last move. */
  const forgetMove = (cell: HttpCell, home: string) =>
    cell.database.transaction((session) =>
      session.run(`update stock.locations set cell = $1, earlier = '{}' where code = $2`, [home, location]),
    )
  await moveTo(first)
  const isOnceIn = async (cells: readonly HttpCell[]) => {
    for (const cell of cells) {
      const { status, headers } = await sendTo(cell)
      expect([status, headers.get('idempotent-replayed')]).toEqual([200, 'true'])
    }
    const onHand = async () => (await ap1.call('GET', `/v1/stock/${sku}`)).json
    await eventually(async () => (await onHand()).in_flight === 0)
    expect((await onHand()).on_hand).toBe(8)
  }
  return { ...{ location, sku, key, adjustment, sendTo, moveTo, forgetMove, isOnceIn } }
}

describe('an adjustment whose location got another home after it was carried out', () => {
  test('is answered from its key wherever it is sent again, as often as the home is moved', async () => {
    const { sendTo, moveTo, isOnceIn } = await receipt('eu1')
    expect((await sendTo(us1)).status).toBe(200)
    for (const home of ['us1', 'ap1', 'eu1', 'us1']) {
      await moveTo(home)
      await isOnceIn([eu1, us1, ap1])
    }
  })

  test('and as a line of a bulk request', async () => {
    const { key, adjustment, sendTo, moveTo, isOnceIn } = await receipt('eu1')
    expect((await sendTo(eu1)).status).toBe(200)
    await moveTo('us1')
    const body = JSON.stringify({ idempotency_key: key, adjustments: [adjustment] })
    for (const cell of [eu1, us1, ap1]) {
      const headers = { 'content-type': 'application/x-ndjson' }
      const { text } = await cell.call('POST', '/v1/stock/bulk', { body, headers, key: null })
      expect(JSON.parse(text)).toMatchObject({ status: 200, replayed: true })
    }
    await isOnceIn([us1])
  })

  test('is refused with another body, as any key', async () => {
    const { sendTo, moveTo } = await receipt('eu1')
    expect((await sendTo(us1)).status).toBe(200)
    await moveTo('us1')
    expect((await sendTo(us1, { delta: 9 })).json.code).toBe('idempotency_key_reused')
  })

  test('of two locations is answered from its key when their homes are two cells now', async () => {
    const [one, other] = [await receipt('eu1'), await receipt('eu1')]
    const key = crypto.randomUUID()
    const body = { adjustments: [one.adjustment, other.adjustment] }
    const send = () => us1.call('POST', '/v1/stock/adjustments', { key, body })
    expect((await send()).status).toBe(200)
    await other.moveTo('us1')
    const again = await send()
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([200, 'true'])
    const another = await us1.call('POST', '/v1/stock/adjustments', { body })
    expect(another.json.code).toBe('locations_of_several_cells')
  })
})

describe('an adjustment that the new home has carried out', () => {
  test('is answered from there by an earlier home that has not heard of the move', async () => {
    const { sendTo, moveTo, forgetMove, isOnceIn } = await receipt('eu1')
    await moveTo('us1')
    expect((await sendTo(us1)).status).toBe(200)
    await forgetMove(eu1, 'eu1')
    await isOnceIn([eu1])
  })

  test('and by one that was the home in between', async () => {
    const { sendTo, moveTo, forgetMove, isOnceIn } = await receipt('eu1')
    await moveTo('us1')
    await moveTo('ap1')
    expect((await sendTo(ap1)).status).toBe(200)
    await forgetMove(us1, 'us1')
    await isOnceIn([us1])
  })

  test('may have been refused there before, with another body', async () => {
    const { sendTo, moveTo, isOnceIn } = await receipt('eu1')
    await moveTo('us1')
    expect((await sendTo(us1, { delta: -1, reason: 'lost' })).json.code).toBe('insufficient_stock')
    expect((await sendTo(us1)).status).toBe(200)
    await isOnceIn([eu1, us1])
  })
})

describe('while an earlier home is out of reach', () => {
  test('a key that it may know is 503, and is answered when it is back', async () => {
    const { sendTo, moveTo, isOnceIn } = await receipt('us1')
    expect((await sendTo(us1)).status).toBe(200)
    await moveTo('eu1')
    await talking.leave('us1')
    const refused = await sendTo(eu1)
    expect(refused.json).toMatchObject({ status: 503, code: 'cell_unreachable', may_have_happened: true })
    await talking.comeBack('us1')
    us1 = talking.cells.us1!
    await eventually(async () => (await sendTo(eu1)).status === 200, 20_000)
    await isOnceIn([eu1, us1])
  }, 60_000)
})

test('a cell that is about to leave becomes no home', async () => {
  await talking.setState('ap1', 'draining')
  const drains = async (cell: HttpCell) =>
    (await cell.call('GET', '/v1/cells')).json.data.find(({ name }: { name: string }) => name === 'ap1').state ===
    'draining'
  for (const cell of [us1, ap1]) {
    await eventually(() => drains(cell))
    const { status, json } = await cell.call('PUT', '/v1/locations/late', { body: { name: 'Late', cell: 'ap1' } })
    expect([status, json.code, json.errors[0].pointer]).toEqual([422, 'cell_drains', '/cell'])
  }
  await talking.setState('ap1', 'active')
})
