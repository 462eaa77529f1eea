// Several processes of one cell on one database, whose topology makes it `geo`: the mark, by which a copy knows that it lacks nothing,
// is never ahead of a process that still answers without waiting.
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CellName } from '../src/base/ids.ts'
import type { Topology } from '../src/base/topology.ts'
import { openCellGate } from '../src/cell-batches.ts'
import { keepPromises } from '../src/cell-promises.ts'
import { systemClock } from '../src/runtime/clock.ts'
import { GateShut } from '../src/runtime/gate.ts'
import { openMetrics } from '../src/runtime/metrics.ts'
import { migrate, readMigrations } from '../src/runtime/migrate.ts'
import { type Database, openDatabase } from '../src/runtime/pg.ts'
import { runtimeMigrations } from '../src/runtime/schema.ts'
import { keepStanding } from '../src/runtime/standing.ts'
import { keepTopology } from '../src/runtime/topology.ts'
import { cellOf, threeCells } from './base/topology-given.ts'
import { eventually } from './support/eventually.ts'
import { createDatabase } from './support/postgres.ts'

const us1 = 'us1' as CellName
const log = { info: () => {}, error: () => {} }
const onError = () => {}

let database: Database
let stops: (() => Promise<void>)[]

beforeEach(async () => {
  database = openDatabase({ url: await createDatabase(), applicationName: 'test' })
  await migrate(database, await readMigrations([runtimeMigrations]))
  stops = []
})
afterEach(async () => {
  for (const stop of stops.toReversed()) await stop()
  await database.close()
})

/** One process of us1. `query`: how it reads the topology. */
async function begin(query: Database['query'] = database.query, first: Topology = threeCells()) {
  const topology = await keepTopology({
    ...{ cell: us1, database: { query, transaction: database.transaction }, onError },
    whyNotEmptied: async () => null,
    atStart: (stored) => stored ?? first,
  })
  const standing = await keepStanding({ database, clock: systemClock, onChange: () => {}, onError })
  const shared = { cell: us1, topology, database, clock: systemClock, onError }
  const { gate } = openCellGate({ ...shared, metrics: openMetrics(), log })
  const promises = await keepPromises({ ...shared, gate, standing })
  stops.push(async () => {
    await Promise.all([promises.stop(), topology.stop()])
    await gate.stop()
    await standing.stop()
  })
  return { topology, gate }
}

async function mark(): Promise<string> {
  const [row] = await database.query<{ durability: string }>('select durability from runtime.standing')
  return row!.durability
}

test('the mark comes when every process waits for the standby, or answers nothing since it cannot look', async () => {
  let isBlind = false
  const blindly: Database['query'] = (...asked) =>
    isBlind ? Promise.reject(new Error('it cannot look')) : database.query(...asked)
  const [one, other, blind] = [await begin(), await begin(), await begin(blindly)]
  expect([await mark(), one.gate.isOpen, other.gate.isOpen, blind.gate.isOpen]).toEqual(['local', true, true, true])
  await blind.gate.pass('')

  isBlind = true
  const before = one.topology.current()
  const terms = { durability: 'geo' as const, standby: { region: 'ap' } }
  const cells = before.cells.map((cell) => (cell.name === us1 ? { ...cell, ...terms } : cell))
  expect(await one.topology.change(before, { ...before, version: before.version + 1, cells })).toBe(true)
  await eventually(() => !one.gate.isOpen && !other.gate.isOpen)
  expect([await mark(), blind.gate.isOpen]).toEqual(['local', true])
  await eventually(async () => {
    const marked = await mark()
    const open = [one, other, blind].filter(({ gate }) => gate.isOpen)
    expect(marked === 'geo' ? open : []).toEqual([])
    return marked === 'geo'
  }, 20_000)
  await expect(blind.gate.pass('')).rejects.toBeInstanceOf(GateShut)
  isBlind = false
  await eventually(() => blind.topology.current().version === before.version + 1)
  expect(blind.gate.isOpen).toBe(false)
})

test('it is there at once in a database that has never had another topology', async () => {
  const cells = threeCells().cells.map((cell) =>
    cell.name === us1 ? cellOf('us1', 2, { durability: 'geo', standby: { region: 'us' } }) : cell,
  )
  await begin(database.query, threeCells({ cells }))
  expect(await mark()).toBe('geo')
})

test('a process that could not look for a while looks before it answers, and goes on where nothing has changed', async () => {
  let isBlind = false
  const process = await begin((...asked) => (isBlind ? Promise.reject(new Error('blind')) : database.query(...asked)))
  isBlind = true
  await eventually(() => !process.gate.isOpen, 20_000)
  isBlind = false
  await process.gate.pass('')
  expect(process.gate.isOpen).toBe(true)
})
