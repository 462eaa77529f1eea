// What the cells of a start are told of each other: an operator's file that does not fit is refused in one line, and what a data
// folder keeps follows its cells.
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { cellNamed, type Topology, topologyJson } from '../../src/base/topology.ts'
import {
  countingTopology,
  ensureCellKey,
  givenTopology,
  ownTopology,
  readOwnTopology,
} from '../../src/cli/start-topology.ts'
import { type Config, readConfig } from '../../src/runtime/config.ts'
import { StartFailure } from '../../src/runtime/start-failure.ts'
import { cellOf, keyOf } from '../base/topology-given.ts'
import { makeDataFolder } from '../support/holdfast.ts'

const [eu1, us1] = ['eu1', 'us1'] as CellName[] as [CellName, CellName]

let data: string
let remove: () => Promise<void>

beforeEach(async () => {
  ;({ data, remove } = await makeDataFolder())
})

afterEach(() => remove())

const folderOf = (cell: string): string => join(data, cell)
const at = (name: CellName, port: number, publicKey: string) => ({ name, url: `http://127.0.0.1:${port}`, publicKey })

/** One cell, with a key in the data folder. */
async function lone(): Promise<Topology> {
  const publicKey = await ensureCellKey(folderOf('eu1'))
  const zones = [{ name: 'world', regions: ['eu'] }]
  return { version: 3, by: eu1, zones, cells: [cellOf('eu1', 1, { publicKey })] }
}

async function read(given: Topology | string, args: string[] = []): Promise<Topology> {
  const file = join(data, 'given.json')
  await writeFile(file, typeof given === 'string' ? given : JSON.stringify(topologyJson(given)))
  return givenTopology(readConfig([`--topology=${file}`, '--cells=eu1', ...args], {}) as Config, folderOf)
}

test('a file that fits is taken as it is', async () => {
  expect(await read(await lone())).toEqual(await lone())
})

test.each<[string, (fits: Topology) => Topology | string, string[], RegExp]>([
  ['is no JSON', () => '{', [], /given.json is not JSON/],
  ['lacks a field', () => '{"version":1,"by":"eu1","zones":[]}', [], /is wrong at \/cells: cells is missing/],
  ['names a cell twice', (fits) => ({ ...fits, cells: [...fits.cells, cellOf('eu1', 2)] }), [], /two cells eu1/],
  ['does not know the cell', (fits) => fits, ['--cells=us1'], /--cells us1: .* knows no such cell, it has eu1\./],
  ['has another key', (fits) => ({ ...fits, cells: [cellOf('eu1', 2)] }), [], /is not the one that the topology/],
  ['has a cell with no key here', (fits) => withCell(fits, 'eu2'), ['--cells=eu2'], /no key of a cell in .*eu2/],
  ['calls a cell removed', (fits) => withCell(fits, 'eu2', 'removed'), ['--cells=eu2'], /says that it was removed/],
  ['is not there', (fits) => fits, ['--topology=/nowhere.json'], /^There is no topology \/nowhere.json/],
  ['lets cells talk in the clear', (fits) => withUrl(fits, 'http://eu1.example.com'), [], /must be https/],
])('a file that %s is refused in one line', async (_, given, args, line) => {
  const refused = await read(given(await lone()), args).catch((error) => error)
  expect(refused).toBeInstanceOf(StartFailure)
  expect(refused.message).toMatch(line)
  expect(refused.message).not.toContain('\n')
})

const withCell = (topology: Topology, name: string, state: 'active' | 'removed' = 'active'): Topology => ({
  ...topology,
  cells: [...topology.cells, cellOf(name, 2, { state })],
})
const withUrl = (topology: Topology, url: string): Topology => ({
  ...topology,
  cells: topology.cells.map((cell) => ({ ...cell, url })),
})

test('a key is made once, for its owner alone to read', async () => {
  const publicKey = await ensureCellKey(folderOf('eu1'))
  expect(await ensureCellKey(folderOf('eu1'))).toBe(publicKey)
  expect((await stat(join(folderOf('eu1'), 'cell.key'))).mode & 0o777).toBe(0o600)
  await mkdir(folderOf('us1'))
  await writeFile(join(folderOf('us1'), 'cell.key'), 'nonsense')
  await expect(ensureCellKey(folderOf('us1'))).rejects.toThrow(/cell.key is no private key of a cell/)
})

test('a data folder keeps the topology of its cells, which moves with them', async () => {
  expect(await readOwnTopology(data)).toBeUndefined()
  const first = await ownTopology(data, undefined, [at(eu1, 8080, keyOf(1)), at(us1, 8081, keyOf(2))])
  expect(await readOwnTopology(data)).toEqual(first)
  const moved = await ownTopology(data, first, [at(eu1, 9080, keyOf(1)), at(us1, 9081, keyOf(2))])
  expect(moved.version).toBe(2)
  expect(await readOwnTopology(data)).toEqual(moved)
  await writeFile(join(data, 'topology.json'), (await readFile(join(data, 'topology.json'), 'utf8')).slice(0, 99))
  await expect(readOwnTopology(data)).rejects.toThrow(/topology.json is not JSON/)
})

test('a cell that knows more than the file keeps it, at the addresses of the file', () => {
  const given: Topology = {
    version: 2,
    by: eu1,
    zones: [{ name: 'world', regions: ['eu', 'us'] }],
    cells: [cellOf('eu1', 1, { url: 'http://127.0.0.1:9080' }), cellOf('us1', 2, { url: 'http://127.0.0.1:9081' })],
  }
  const stored: Topology = {
    ...given,
    version: 5,
    cells: [cellOf('eu1', 1, { url: 'http://127.0.0.1:8080' }), cellOf('us1', 2, { state: 'removed' })],
  }
  const counting = countingTopology(stored, given, true) as Topology
  expect(counting.version).toBe(6)
  expect(counting.cells).toEqual([given.cells[0], stored.cells[1]])
  expect(countingTopology(stored, given, false)).toBe(stored)
  expect(countingTopology(undefined, given, true)).toBe(given)
  expect(countingTopology({ ...given, version: 1 }, given, true)).toBe(given)
})

test('a lone cell whose data folder is new is known by its new key; one of several is refused', () => {
  const one = (n: number): Topology => ({
    version: 4,
    by: eu1,
    zones: [{ name: 'world', regions: ['eu'] }],
    cells: [cellOf('eu1', n)],
  })
  const counting = countingTopology(one(1), { ...one(2), version: 1 }, true) as Topology
  expect(cellNamed(counting, eu1)?.publicKey).toBe(keyOf(2))
  expect(counting.version).toBeGreaterThan(4)
  const two = (n: number): Topology => ({ ...one(n), cells: [cellOf('eu1', n), cellOf('eu2', 3)] })
  expect(countingTopology(two(1), { ...two(2), version: 1 }, true)).toMatchObject([{ code: 'key_changed' }])
})
