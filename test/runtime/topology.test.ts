// A topology that is kept: by all processes of a cell the same, after a while, and never an older one.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { changeTopology, type Topology, type TopologyCell, type TopologyChange } from '../../src/base/topology.ts'
import { migrate, readMigrations } from '../../src/runtime/migrate.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { runtimeMigrations } from '../../src/runtime/schema.ts'
import { type KeepTopologyOptions, keepTopology, type TopologyKeeper } from '../../src/runtime/topology.ts'
import { cellOf, keyOf, threeCells } from '../base/topology-given.ts'
import { eventually } from '../support/eventually.ts'
import { createDatabase } from '../support/postgres.ts'

const eu1 = 'eu1' as CellName
let database: Database
let keepers: TopologyKeeper[]
let errors: unknown[]
let given: Pick<KeepTopologyOptions, 'cell' | 'database' | 'whyNotEmptied' | 'onError'>
/** What of the cell is in flight. */
let left: string | null

beforeEach(async () => {
  database = openDatabase({ url: await createDatabase(), applicationName: 'test' })
  await migrate(database, await readMigrations([runtimeMigrations]))
  keepers = []
  left = null
  given = { cell: eu1, database, whyNotEmptied: async () => left, onError: () => {} }
  errors = []
})
afterEach(async () => {
  for (const keeper of keepers) await keeper.stop()
  await database.close()
  expect(errors).toEqual([])
})

async function keep(atStart: (stored: Topology | undefined) => Topology = (stored) => stored ?? threeCells()) {
  const keeper = await keepTopology({ ...given, atStart, onError: (error) => errors.push(error) })
  keepers.push(keeper)
  return keeper
}

const versions = async () =>
  (await database.query<{ version: number; made_by: string }>('select version, made_by from runtime.topology')).map(
    ({ version, made_by }) => `${version} ${made_by}`,
  )

const by = (version: number, name = 'eu1') => threeCells({ version, by: name as CellName })

function next(topology: Topology, change: TopologyChange): Topology {
  const found = changeTopology(topology, change, eu1)
  if ('code' in found) throw new Error(found.detail)
  return found
}

describe('at its start a process', () => {
  test('stores what it makes when nothing is stored, and finds what is', async () => {
    expect((await keep()).current()).toEqual(threeCells())
    expect((await keep(() => by(3))).current()).toEqual(threeCells())
    expect((await keep((stored) => ({ ...stored!, version: 8 }))).current().version).toBe(8)
    expect(await versions()).toEqual(['8 eu1'])
  })

  test('of many at once finds the same', async () => {
    const all = await Promise.all(['eu1', 'us1', 'ap1', 'us1'].map((name) => keep(() => by(1, name))))
    await eventually(() => all.every((keeper) => keeper.current().by === 'us1'))
    expect(await versions()).toEqual(['1 us1'])
  })

  test('whose cell is not among them does not start: its data is another cell’s', async () => {
    await keep()
    const other = keepTopology({ ...given, cell: 'eu2' as CellName, atStart: (stored) => stored! })
    await expect(other).rejects.toMatchObject({ code: 'topology_refused' })
  })

  test('that is refused does not start, and stores nothing', async () => {
    const problem = { pointer: '/cells/0/name', code: 'name_used' as const, detail: 'eu1 was removed.' }
    const refused = keepTopology({ ...given, atStart: () => [problem] })
    await expect(refused).rejects.toMatchObject({ code: 'topology_refused', message: 'eu1 was removed.' })
    expect(await versions()).toEqual([])
  })
})

describe('one that is offered', () => {
  test('is adopted when it is newer, and told to who listens', async () => {
    const keeper = await keep()
    const heard: number[] = []
    const end = keeper.onChange(({ version }) => heard.push(version))
    for (const version of [8, 8, 7, 10, 9]) await keeper.offer(by(version))
    expect(keeper.current().version).toBe(10)
    expect(heard).toEqual([8, 10])
    end()
    await keeper.offer(by(11))
    expect(heard).toEqual([8, 10])
    expect(await versions()).toEqual(['11 eu1'])
  })

  test('that may not follow is refused with why, and changes nothing', async () => {
    const keeper = await keep()
    const [eu, us, ap] = by(8, 'us1').cells as [TopologyCell, TopologyCell, TopologyCell]
    const refused: [TopologyCell[], number, string][] = [
      [[cellOf('us1', 1)], 99, 'cell_unknown'],
      [[eu, { ...us, publicKey: keyOf(9) }, ap], 8, 'key_changed'],
      [[eu, us, ap], limits.topologyVersionMax, 'too_large'],
    ]
    for (const [cells, version, code] of refused) {
      expect((await keeper.offer({ ...by(version, 'us1'), cells })).map((problem) => problem.code)).toContain(code)
    }
    expect(keeper.current()).toEqual(threeCells())
    expect(await versions()).toEqual(['7 eu1'])
  })

  test('that removes this cell is adopted only when nothing of it is in flight', async () => {
    const keeper = await keep()
    const [eu, ...others] = by(9).cells as [TopologyCell, TopologyCell, TopologyCell]
    const without: Topology = { ...by(9, 'us1'), cells: [{ ...eu, state: 'removed' }, ...others] }
    left = 'Units are here.'
    expect(await keeper.offer(without)).toMatchObject([
      { code: 'not_emptied', detail: 'It removes eu1. Units are here.' },
    ])
    expect(keeper.current()).toEqual(threeCells())
    left = null
    expect(await keeper.offer(without)).toEqual([])
    expect(keeper.current()).toEqual(without)
  })

  test('that lacks what was added here meanwhile is followed by one that has both, in the table too', async () => {
    const keeper = await keep()
    await keeper.change(threeCells(), next(threeCells(), { kind: 'add', cell: cellOf('eu2', 4) }))
    const theirs = by(8, 'us1')
    theirs.cells[2]!.url = 'https://ap1.example.org'
    expect(await keeper.offer(theirs)).toEqual([])
    expect(keeper.current()).toMatchObject({ version: 9, by: 'eu1' })
    expect(keeper.current().cells.map(({ name }) => name)).toEqual(['eu1', 'us1', 'ap1', 'eu2'])
    expect(keeper.current().cells[2]!.url).toBe('https://ap1.example.org')
    expect(await versions()).toEqual(['9 eu1'])
  })

  test('reaches the other processes of the cell', async () => {
    const [one, other] = [await keep(), await keep()]
    const heard: Topology[] = []
    other.onChange((topology) => heard.push(topology))
    await one.offer(by(8, 'us1'))
    await eventually(() => other.current().version === 8)
    expect(heard).toEqual([by(8, 'us1')])
  })

  test('in whatever order and through whichever process, the newest stands', async () => {
    const some = [await keep(), await keep(), await keep()]
    const offers = Array.from({ length: 30 }, (_, at) => by(8 + (at % 10), ['eu1', 'us1', 'ap1'][at % 3]))
    await Promise.all(offers.map((topology, at) => some[at % 3]!.offer(topology)))
    expect(await versions()).toEqual(['17 us1'])
    await eventually(() => some.every((keeper) => keeper.current().version === 17 && keeper.current().by === 'us1'))
  })

  test('with the number and the maker of another one stands everywhere, whichever came first', async () => {
    const [one, other] = ['https://ap1.example.org', 'https://ap1.example.net'].map((url) => {
      const twin = by(8)
      twin.cells[2]!.url = url
      return twin
    })
    const keeper = await keep()
    for (const topology of [one!, other!, one!]) await keeper.offer(topology)
    expect(keeper.current()).toEqual(one)
    const late = await keep(() => other!)
    await eventually(() => late.current().cells[2]!.url === 'https://ap1.example.org')
  })

  test('is stored again when the database was set back', async () => {
    const keeper = await keep()
    await keeper.offer(by(8))
    for (const text of [
      'delete from runtime.topology',
      "update runtime.topology set version = 2, topology = replace(topology, '8', '2')",
    ]) {
      await database.transaction((session) => session.run(text))
      await eventually(async () => (await versions())[0] === '8 eu1')
    }
    expect(keeper.current().version).toBe(8)
  })
})

describe('a change', () => {
  test('is made of what is stored', async () => {
    const keeper = await keep()
    const drained = next(threeCells(), { kind: 'drain', name: eu1 })
    expect(await keeper.change(threeCells(), drained)).toBe(true)
    expect(keeper.current()).toEqual(drained)
    expect((await keep()).current()).toEqual(drained)
  })

  test('of what is not stored any more is not made, and what is stored is known then', async () => {
    const [one, other] = [await keep(), await keep()]
    const drained = next(threeCells(), { kind: 'drain', name: eu1 })
    await one.change(threeCells(), drained)
    const added = next(threeCells(), { kind: 'add', cell: cellOf('eu2', 4) })
    expect(await other.change(threeCells(), added)).toBe(false)
    expect(other.current()).toEqual(drained)
  })

  test('of many at once one is made', async () => {
    const some = [await keep(), await keep(), await keep()]
    const wanted = Array.from({ length: 12 }, (_, at) =>
      next(threeCells(), { kind: 'add', cell: cellOf(`eu${at + 2}`, at + 4) }),
    )
    const made = await Promise.all(wanted.map((topology, at) => some[at % 3]!.change(threeCells(), topology)))
    expect(made.filter((one) => one)).toHaveLength(1)
    const stands = wanted[made.indexOf(true)]!
    await eventually(() => some.every((keeper) => keeper.current().cells.length === 4))
    for (const keeper of some) expect(keeper.current()).toEqual(stands)
  })
})
