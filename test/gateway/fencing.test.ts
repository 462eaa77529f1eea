// Two databases that claim one cell, on two real servers: the standby was promoted, and the old primary comes back with a process on
// it that has the cell's key. It takes nothing, and the other cells refuse it. `npm run drill -- fencing` does it with real processes.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { thaw } from '../../src/runtime/standing.ts'
import { eventually } from '../support/eventually.ts'
import { type Answer, type HttpCell, orderBody, receive } from '../support/http-cell.ts'
import { type Replicated, startReplicated } from '../support/replicated.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

let servers: Replicated
let talking: TalkingCells
let stopOld: (() => Promise<void>) | undefined

beforeEach(async () => {
  servers = await startReplicated()
  talking = await openTalkingCells(['eu1', 'us1'], { eu1: servers.primary.url })
  await receive(talking.cells.eu1!, 'A', 100)
  expect((await place(talking.cells.eu1!)).status).toBe(201)
}, 90_000)
afterEach(async () => {
  await stopOld?.()
  stopOld = undefined
  await talking.stop()
  await servers.stop()
})

const place = (cell: HttpCell): Promise<Answer> =>
  cell.call('POST', '/v1/orders', { body: orderBody('A'), key: `eu1.${crypto.randomUUID()}` })
const codes = async (cell: HttpCell) => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => place(cell)))
  return [...new Set(answers.map(({ status, json }) => (status === 201 ? 'taken' : json.code)))]
}
const reasonsOf = async (cell: HttpCell): Promise<string[]> => (await cell.call('GET', '/readyz')).json.reasons

/** The primary is lost, and the standby promoted. */
async function promote(): Promise<void> {
  await talking.leave('eu1')
  await servers.standby.promote()
}

/** The old primary, with a process on it. */
async function returned(): Promise<HttpCell> {
  const old = await talking.double('eu1', servers.primary.url)
  stopOld = old.stop
  return old
}

test('the old primary of a geo cell takes nothing, alone or beside the new one', async () => {
  await promote()
  const old = await returned()
  expect(await codes(old)).toEqual(['standby_unreachable'])

  await talking.comeBack('eu1', servers.standby.url)
  expect((await talking.setTerms('eu1', { durability: 'local', standby: null })).status).toBe(200)
  await eventually(async () => (await place(talking.cells.eu1!)).status === 201, 10_000)
  await eventually(async () => (await reasonsOf(old)).includes('frozen'), 10_000)
  expect(await codes(old)).not.toContain('taken')
  // It was not told that the cell is local now, and would not do it for another's word.
  expect((await old.call('GET', '/v1/cells')).json.topology.cells[0].durability).toBe('geo')
  expect((await place(talking.cells.eu1!)).status).toBe(201)
})

test('that of a local cell is told so before it listens, where another cell has heard the new one', async () => {
  expect((await talking.setTerms('eu1', { durability: 'local', standby: null })).status).toBe(200)
  await promote()
  await talking.comeBack('eu1', servers.standby.url)
  expect(await reasonsOf(talking.cells.eu1!)).toContain('frozen') // it may lack something: that is for holdfast reconcile
  const old = await returned()
  expect(await reasonsOf(old)).toContain('frozen')
  expect(await codes(old)).not.toContain('taken')
})

test('and where that other cell began after the promotion, and has never heard of the old one', async () => {
  expect((await talking.setTerms('eu1', { durability: 'local', standby: null })).status).toBe(200)
  await promote()
  await talking.comeBack('eu1', servers.standby.url)
  const promoted = talking.cells.eu1!
  await thaw(promoted.database) // as holdfast reconcile ends it
  await eventually(async () => !(await reasonsOf(promoted)).includes('frozen'), 10_000)
  await talking.leave('us1')
  await talking.comeBack('us1')
  const us1 = talking.cells.us1!
  await eventually(async () => {
    const { data } = (await us1.call('GET', '/v1/cells')).json
    return data.find((one: { name: string }) => one.name === 'eu1').reachable
  }, 10_000)

  const old = await returned()
  expect(await reasonsOf(old)).toContain('frozen')
  expect(await codes(old)).not.toContain('taken')
  expect(await reasonsOf(promoted)).not.toContain('frozen')
  expect(await codes(promoted)).toEqual(['taken'])
})
