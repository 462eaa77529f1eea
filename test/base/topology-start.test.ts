// The topology at a start: the same for all cells that are started side by side, and where they listen now.
import { expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { checkTopology, type Topology, topologyJson } from '../../src/base/topology.ts'
import { type StartedCell, topologyAtStart } from '../../src/base/topology-start.ts'
import { cellOf, keyOf, threeCells } from './topology-given.ts'

const started = (name: string, n: number, port = 8080): StartedCell => ({
  name: name as CellName,
  url: `http://127.0.0.1:${port}`,
  publicKey: keyOf(n),
})
const three = (port = 8080) => [started('eu1', 1, port), started('us1', 2, port + 1), started('ap1', 3, port + 2)]

function whole(found: ReturnType<typeof topologyAtStart>): Topology {
  if (Array.isArray(found)) throw new Error(JSON.stringify(found))
  expect(checkTopology(topologyJson(found))).toEqual(found)
  return found
}

const codes = (found: ReturnType<typeof topologyAtStart>) =>
  Array.isArray(found) ? found.map(({ pointer, code }) => `${pointer} ${code}`) : []

test('the first is made of those that are started, in one zone', () => {
  const first = whole(topologyAtStart(undefined, three()))
  expect(first).toMatchObject({ version: 1, by: 'eu1', zones: [{ name: 'world', regions: ['eu', 'us', 'ap'] }] })
  expect(first.cells.map(({ name, url, state }) => [name, url, state])).toEqual([
    ['eu1', 'http://127.0.0.1:8080', 'active'],
    ['us1', 'http://127.0.0.1:8081', 'active'],
    ['ap1', 'http://127.0.0.1:8082', 'active'],
  ])
})

test('two cells of a region need it once', () => {
  const cells = [started('eu1', 1), started('eu2', 2, 8081)]
  expect(whole(topologyAtStart(undefined, cells)).zones).toEqual([{ name: 'world', regions: ['eu'] }])
})

test('what is where it was stays as it is, be it all or a part', () => {
  const stored = whole(topologyAtStart(undefined, three()))
  expect(topologyAtStart(stored, three())).toBe(stored)
  expect(topologyAtStart(stored, three().slice(1, 2))).toBe(stored)
})

test('cells that listen elsewhere are moved, all in one version, even to where another was', () => {
  const stored = whole(topologyAtStart(undefined, three()))
  const moved = whole(topologyAtStart(stored, three(8081)))
  expect(moved).toMatchObject({ version: 2, by: 'eu1' })
  expect(moved.cells.map(({ url }) => url)).toEqual(three(8081).map(({ url }) => url))
})

test('a cell that is new is added, and its region when that is new', () => {
  const stored = threeCells()
  const cells = stored.cells.map(({ name, url, publicKey }) => ({ name, url, publicKey }))
  const grown = whole(topologyAtStart(stored, [...cells, started('eu2', 4), started('sa1', 5, 8081)]))
  expect(grown.zones).toEqual([threeCells().zones[0], { name: 'world', regions: ['us', 'ap', 'sa'] }])
  expect(grown.cells.slice(0, 3)).toEqual(stored.cells)
  expect(grown.cells.slice(3).map(({ name, state }) => [name, state])).toEqual([
    ['eu2', 'active'],
    ['sa1', 'active'],
  ])
})

test('a draining cell that is started again still drains', () => {
  const stored = threeCells({ cells: [cellOf('eu1', 1), cellOf('us1', 2, { state: 'draining' }), cellOf('ap1', 3)] })
  expect(whole(topologyAtStart(stored, three())).cells.map(({ state }) => state)).toEqual([
    'active',
    'draining',
    'active',
  ])
})

test('a cell that was removed, and one with other data than it had, are refused', () => {
  const stored = threeCells({ cells: [cellOf('eu1', 1), cellOf('us1', 2, { state: 'removed' }), cellOf('ap1', 9)] })
  expect(codes(topologyAtStart(stored, three()))).toEqual([
    '/cells/1/name name_used',
    '/cells/2/public_key key_changed',
  ])
})
