// Personal data of settings stays in the zone in which it was set. Three cells that talk to each other: two of one zone, one of another.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import type { HttpCell } from '../support/http-cell.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

let talking: TalkingCells
let [eu1, eu2, us1] = [] as unknown as [HttpCell, HttpCell, HttpCell]

beforeAll(async () => {
  talking = await openTalkingCells(['eu1', 'eu2', 'us1'])
  ;[eu1, eu2, us1] = [talking.cells.eu1!, talking.cells.eu2!, talking.cells.us1!]
  const seen = await eu1.call('GET', '/v1/cells')
  const zones = ['eu', 'us'].map((name) => ({ name, regions: [name] }))
  const body = { zones, cells: seen.json.topology.cells }
  const put = await eu1.call('PUT', '/v1/topology', { body, headers: { 'if-match': seen.headers.get('etag')! } })
  expect(put.status).toBe(200)
  for (const cell of [eu2, us1])
    await eventually(async () => (await cell.call('GET', '/v1/cells')).json.topology.zones.length === 2, 10_000)
}, 60_000)
afterAll(() => talking.stop())

const settingsAt = async (cell: HttpCell) => (await cell.call('GET', '/v1/settings')).json
const set = async (cell: HttpCell, change: { emails?: string[]; reservation?: number }) => {
  const { version, changed_at: _, changed_by: __, ...settings } = await settingsAt(cell)
  if (change.emails) settings.risk.refuse.emails = change.emails
  if (change.reservation) settings.reservation_seconds = change.reservation
  const answer = await cell.call('PUT', '/v1/settings', {
    body: settings,
    headers: version > 0 ? { 'if-match': `"${version}"` } : {},
  })
  expect(answer.status).toBe(200)
  for (const one of [eu1, eu2, us1])
    await eventually(async () => (await settingsAt(one)).version === version + 1, 10_000)
}
const refused = async (cell: HttpCell): Promise<string[]> => (await settingsAt(cell)).risk.refuse.emails
const wholeText = async ({ database }: HttpCell): Promise<string> =>
  JSON.stringify([
    await database.query('select settings from shops.settings'),
    await database.query('select data from runtime.events'),
  ])

test('addresses in a shop’s settings are told to the cells of their zone, and to no other', async () => {
  await set(eu1, { emails: ['bad@example.com'] })
  expect(await Promise.all([eu1, eu2, us1].map(refused))).toEqual([['bad@example.com'], ['bad@example.com'], []])
  expect(await wholeText(us1)).not.toContain('bad@example.com')

  await set(us1, { reservation: 120 }) // what another zone writes takes nothing away
  expect(await Promise.all([eu1, eu2].map(refused))).toEqual([['bad@example.com'], ['bad@example.com']])
  expect((await settingsAt(eu2)).reservation_seconds).toBe(120)

  await set(us1, { emails: ['worse@example.com'] }) // each zone has lists of its own
  await set(eu2, { reservation: 180 })
  expect(await Promise.all([eu1, eu2, us1].map(refused))).toEqual([
    ['bad@example.com'],
    ['bad@example.com'],
    ['worse@example.com'],
  ])
  for (const cell of [eu1, eu2]) expect(await wholeText(cell)).not.toContain('worse@example.com')
}, 60_000)
