// What another cell's newer topology may do to the one that is in force here: nothing that an operator may not, and nothing is lost
// when two were made at once.
import { describe, expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { cellNamed, checkTopology, type Topology, type TopologyCell, topologyJson } from '../../src/base/topology.ts'
import { isNewer, whatFollows } from '../../src/base/topology-following.ts'
import { cellOf, keyOf, threeCells } from './topology-given.ts'

const eu1 = 'eu1' as CellName
const us1 = 'us1' as CellName

/** Made at us1, some versions later, with this done to its cells. */
function later(change: Record<string, Partial<TopologyCell> | null> = {}, more: Partial<Topology> = {}): Topology {
  const { version } = threeCells()
  const cells = threeCells().cells.flatMap((cell) => {
    const changes = change[cell.name]
    return changes === null ? [] : [{ ...cell, ...changes }]
  })
  return { ...threeCells(), version: version + 1, by: us1, cells, ...more }
}

const follows = (offered: Topology, before = threeCells(), self = eu1) => whatFollows(before, offered, { self })
const why = (offered: Topology, before?: Topology) => {
  const found = follows(offered, before)
  return Array.isArray(found) ? found.map(({ pointer, code }) => `${pointer} ${code}`) : found.kind
}
function merged(offered: Topology, before = threeCells(), self = eu1): Topology {
  const found = follows(offered, before, self)
  if (Array.isArray(found) || found.kind !== 'merged') throw new Error(JSON.stringify(found))
  expect(checkTopology(topologyJson(found.topology))).toEqual(found.topology)
  expect(isNewer(found.topology, offered) && isNewer(found.topology, before)).toBe(true)
  return found.topology
}
const states = ({ cells }: Topology) => cells.map(({ name, state }) => `${name} ${state}`)

describe('follows as it is', () => {
  test.each<[string, Topology]>([
    ['another address', later({ us1: { url: 'https://us1.example.net' } })],
    ['other terms', later({ us1: { durability: 'geo' }, ap1: { onIsolation: 'sell' } })],
    ['a new cell', later({}, { cells: [...threeCells().cells, cellOf('us2', 4)] })],
    ['a cell that drained in a version that was not seen, and is removed', later({ ap1: { state: 'removed' } })],
    ['one that waits for its standby now, this one too', later({ eu1: { standby: { region: 'eu' } } })],
  ])('%s', (_, offered) => expect(why(offered)).toBe('as_it_is'))
})

describe('is refused', () => {
  test.each<[string, Topology, string]>([
    ['another key of a cell', later({ us1: { publicKey: keyOf(9) } }), '/cells/1/public_key key_changed'],
    ['one that does not know this cell', later({ eu1: null }), '/cells cell_unknown'],
    [
      'a version that leaves no room for changes',
      later({}, { version: limits.topologyVersionMax }),
      '/version too_large',
    ],
  ])('%s', (_, offered, problem) => expect(why(offered)).toContain(problem))

  test('that this cell need not wait for its standby any more: only its own database may say so, and the others follow it', () => {
    const offered = later({ eu1: { durability: 'local', standby: null } })
    expect(why(offered)).toEqual(['/cells/0/durability lowered_elsewhere'])
    expect(follows(offered, threeCells(), us1)).toEqual({ kind: 'as_it_is' })
    const more = later(
      { eu1: { durability: 'local', standby: null } },
      {
        cells: [
          cellOf('eu1', 1, { durability: 'local', standby: null }),
          ...threeCells().cells.slice(1),
          cellOf('us2', 5),
        ],
      },
    )
    const ours = later({}, { by: eu1, cells: [...threeCells().cells, cellOf('eu2', 4)] })
    expect(why(more, ours)).toEqual(['/cells/0/durability lowered_elsewhere']) // nor is a version made that has both
  })

  test('what cannot be put together: a new cell of ours at the address of a new one of theirs', () => {
    const ours = later({}, { by: eu1, cells: [...threeCells().cells, cellOf('eu2', 4)] })
    const theirs = later({}, { cells: [...threeCells().cells, cellOf('us2', 5, { url: 'https://eu2.example.com' })] })
    expect(why(theirs, ours)).toEqual(['/cells/4/url url_repeated'])
  })

  test('the key of a cell that was removed, for another one', () => {
    const gone = later({ ap1: { state: 'removed' } }, { version: 7 })
    expect(why(later({ ap1: { publicKey: keyOf(9) } }), gone)).toEqual(['/cells/2/public_key key_changed'])
  })
})

describe('loses nothing of ours, and the next version has both', () => {
  test('when a cell that was added here at the same time is missing in it', () => {
    const ours = later({}, { by: eu1, cells: [...threeCells().cells, cellOf('eu2', 4)] })
    const theirs = later({ ap1: { onIsolation: 'sell' } })
    const both = merged(theirs, ours)
    expect(both).toMatchObject({ version: 9, by: 'eu1' })
    expect(states(both)).toEqual(['eu1 active', 'us1 active', 'ap1 active', 'eu2 active'])
    expect(cellNamed(both, 'ap1' as CellName)!.onIsolation).toBe('sell')
    expect(follows(both, theirs, us1)).toEqual({ kind: 'as_it_is' })
  })

  test('with its region, where that is in no zone of theirs', () => {
    const zones = [threeCells().zones[0]!, { name: 'world', regions: ['us', 'ap', 'sa'] }]
    const ours = later({}, { by: eu1, zones, cells: [...threeCells().cells, cellOf('sa1', 4)] })
    expect(merged(later(), ours).zones).toEqual(zones)
  })

  test('when a cell that was removed is there again in it', () => {
    const gone = later({ ap1: { state: 'removed' } }, { by: eu1 })
    expect(states(merged(later({ ap1: { state: 'draining' } }), gone))).toContain('ap1 removed')
  })

  test('and when both sides do it at once, both come to the same', () => {
    const ours = later({}, { by: eu1, cells: [...threeCells().cells, cellOf('eu2', 4)] })
    const theirs = later({}, { cells: [...threeCells().cells, cellOf('us2', 5)] })
    const [one, other] = [merged(theirs, ours), merged(theirs, ours, 'ap1' as CellName)]
    expect(new Set(states(one))).toEqual(new Set(states(other)))
    const [older, newer] = isNewer(one, other) ? [other, one] : [one, other]
    expect(follows(newer, older)).toEqual({ kind: 'as_it_is' })
  })
})
