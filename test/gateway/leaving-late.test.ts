// What was asked for by a cell, or meant for it, before it was found empty, and comes to its turn afterwards. Real cells that talk
// to each other.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keysLock } from '../../src/modules/orders/store.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, receive } from '../support/http-cell.ts'
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

const us1In = async (cell: HttpCell) =>
  (await cell.call('GET', '/v1/cells')).json.data.find((one: { name: string }) => one.name === 'us1')
const given = async (need: number): Promise<number> => {
  const ask = {
    sku: 'LATE',
    need,
    wanted: 0,
    rate: 0,
    available: 0,
    location: null,
    even_if_grouped: false,
    is_known: true,
  }
  const body = { shop_id: 1, first_asked_at: Date.now(), asks: [ask] }
  return (await talking.say('us1', 'eu1', 'ask', body)).json.answers[0].given
}

test('a cell that was found empty is sent nothing any more, until it is active again', async () => {
  await receive(eu1, 'LATE', 10)
  await eventually(async () => (await us1.call('GET', '/v1/stock/LATE')).json?.in_flight === 0, 10_000)
  expect((await talking.setState('us1', 'draining')).status).toBe(200)
  await eventually(async () => (await us1In(eu1)).state === 'draining')
  expect(await given(1)).toBe(1) // for what it has sold
  await eu1.database.transaction(async (session) => {
    await session.run(`select pg_advisory_xact_lock_shared(${keysLock})`) // as a batch that has not seen yet that it leaves
    expect((await us1In(us1)).emptied).toBe(false)
  })
  await eventually(async () => (await us1In(us1)).emptied, 15_000)
  expect(await given(1)).toBe(0)
  await receive(eu1, 'LATE', 10)
  expect((await eu1.call('GET', '/v1/stock/LATE')).json).toMatchObject({ on_hand: 20, in_flight: 0 })
  expect((await us1In(us1)).emptied).toBe(true)

  expect((await talking.setState('us1', 'active')).status).toBe(200)
  await eventually(async () => (await given(1)) === 1, 10_000)
})
