// What a `geo` cell tells other cells, on two real servers: a unit that could still be lost with its region is credited to nobody.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { receive } from '../support/http-cell.ts'
import { type Replicated, startReplicated } from '../support/replicated.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

let servers: Replicated
let talking: TalkingCells

beforeAll(async () => {
  servers = await startReplicated()
  talking = await openTalkingCells(['eu1', 'us1'], { eu1: servers.primary.url })
}, 90_000)
afterAll(async () => {
  servers.thaw()
  await talking.stop()
  await servers.stop()
})

test('units that it has sent are credited by the other only when the standby has them', async () => {
  const { eu1, us1 } = talking.cells as Record<'eu1' | 'us1', (typeof talking.cells)[string]>
  await receive(eu1, 'A', 10)
  const unitsAt = async () => {
    const rows = await us1.database.query<{ on_hand: number }>("select on_hand from stock.rows where sku = 'A'")
    return rows[0]?.on_hand ?? 0
  }
  await eventually(async () => (await unitsAt()) === 5, 10_000)
  servers.freeze()
  const sent = await receive(eu1, 'A', 10)
  expect(sent.json.code).toBe('outcome_unknown')
  const [row] = await eu1.database.query<{ sent: number }>('select sum(sent_units)::int as sent from stock.transfers')
  expect(row!.sent).toBe(10) // it stands in its table, and nowhere else
  await us1.call('GET', '/v1/stock/A') // asks it for its levels
  await us1.call('POST', '/v1/holds', { body: { lines: [{ sku: 'A', quantity: 9 }], ttl_seconds: 60 } })
  expect(await unitsAt()).toBe(5)
  servers.thaw()
  await eventually(async () => (await unitsAt()) >= 10, 20_000)
})
