// What a peer tells that cannot be used, or is not for everybody: it holds up nothing else. Real cells that talk to each other.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { appendEventsParams, appendEventsSql } from '../../src/runtime/outbox.ts'
import { anEvent } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'
import type { HttpCell } from '../support/http-cell.ts'
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

/** What stands in the log of us1 as sent to eu1. */
const sent = (location: string, units: unknown) => ({
  sku: 'TOLD',
  location,
  sent: [{ cell: 'eu1', units_total: units, allowance_total: 0 }],
})
const onHand = async (): Promise<number> => (await eu1.call('GET', '/v1/stock/TOLD')).json.on_hand ?? 0

test('an event that cannot be applied stands aside, what follows it in its subject does not, and with its place it is applied', async () => {
  const told = [sent('nowhere', 3), { nonsense: true }, sent('main', 'five'), sent('main', 5)]
  const events = told.map((data, at) =>
    anEvent({ subject: 'sku:TOLD', subjectVersion: at + 1, type: 'stock.transferred', data }),
  )
  await us1.database.transaction((session) => session.run(appendEventsSql, appendEventsParams(events)))
  await eventually(async () => (await onHand()) === 5, 20_000)
  const { data: letters } = (await eu1.call('GET', '/v1/dead-letters')).json
  expect(letters).toMatchObject(Array(3).fill({ kind: 'consumer_event', data: { consumer: 'news from us1' } }))
  await eu1.call('PUT', '/v1/locations/nowhere', { body: { name: 'Somewhere', cell: 'us1' } })
  for (const { id } of letters) await eu1.call('POST', `/v1/dead-letters/${id}/retry`)
  await eventually(async () => (await onHand()) === 8, 10_000)
  await eventually(async () => (await eu1.call('GET', '/v1/dead-letters')).json.data.length === 2, 10_000)
}, 60_000)
