// Topologies: what is wrong with one is said at its place, of two one is newer for everybody, and a name is used once.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import type { Json } from '../../src/base/json.ts'
import { limits } from '../../src/base/limits.ts'
import {
  canonicalTopology,
  cellNamed,
  changeTopology,
  checkNextTopology,
  checkTopology,
  firstCell,
  newerTopology,
  regionOf,
  type Topology,
  type TopologyChange,
  type TopologyRules,
  topologyJson,
} from '../../src/base/topology.ts'
import { cellOf, keyOf, threeCells } from './topology-given.ts'

// biome-ignore lint/suspicious/noExplicitAny: a wire form to be spoilt
type Spoilt = any

const eu1 = 'eu1' as CellName
const us1 = 'us1' as CellName

/** Pointer and code of each problem. */
function told(value: Json, rules?: TopologyRules): string[] {
  const found = checkTopology(value, rules)
  return Array.isArray(found) ? found.map(({ pointer, code }) => `${pointer} ${code}`) : []
}

function spoilt(spoil: (wire: Spoilt) => void): Json {
  const wire = structuredClone(topologyJson(threeCells()))
  spoil(wire)
  return wire
}

test.each([
  ['eu1', 'eu'],
  ['eu12', 'eu'],
  ['a1b2', 'a1b'],
  ['ab', 'ab'],
])('%s is in %s', (cell, region) => {
  expect(regionOf(cell as CellName)).toBe(region)
})

describe('the wire form', () => {
  test('leads there and back', () => {
    expect(checkTopology(topologyJson(threeCells()))).toEqual(threeCells())
    expect(checkTopology(JSON.parse(JSON.stringify(topologyJson(threeCells()))))).toEqual(threeCells())
  })

  test('is in snake_case', () => {
    expect(topologyJson(threeCells()).cells[0]).toEqual({
      name: 'eu1',
      url: 'https://eu1.example.com',
      public_key: keyOf(1),
      state: 'active',
      durability: 'geo',
      on_isolation: 'sell',
      standby: { region: 'ch' },
    })
  })

  test('of any JSON is a topology or problems, with sentences, and nothing is thrown', () => {
    const any = fc.jsonValue() as fc.Arbitrary<Json>
    const path = fc.constantFrom(
      ['version'],
      ['by'],
      ['zones'],
      ['zones', 0],
      ['zones', 0, 'regions'],
      ['cells'],
      ['cells', 1],
      ['cells', 1, 'name'],
      ['cells', 1, 'url'],
      ['cells', 1, 'public_key'],
      ['cells', 1, 'state'],
      ['cells', 0, 'standby'],
    ) // prettier-ignore
    fc.assert(
      fc.property(any, path, (value, names) => {
        for (const wire of [value, spoilt((whole) => put(whole, names, value))]) {
          const found = checkTopology(wire)
          if (!Array.isArray(found)) expect(topologyJson(found)).toEqual(wire)
          else for (const { detail } of found) expect(detail).toMatch(/^[^ ].*\.$/)
        }
      }),
    )
  })
})

function put(whole: Spoilt, names: readonly (string | number)[], value: Json): void {
  let inner = whole
  for (const name of names.slice(0, -1)) inner = inner[name]
  inner[names.at(-1)!] = value
}

describe('what has not the shape is refused where it stands', () => {
  test.each<[Json, string[]]>([
    [null, [' type']],
    ['eu1', [' type']],
    [[], [' type']],
    [{}, ['/version required', '/by required', '/zones required', '/cells required']],
    [{ version: 1, by: 'eu1', zones: [], cells: [] }, ['/zones too_few', '/cells too_few']],
    [{ version: 1, by: 'eu1', zones: {}, cells: 'x' }, ['/zones type', '/cells type']],
  ])('%j', (value, problems) => {
    expect(told(value)).toEqual(problems)
  })

  test.each<[string, (wire: Spoilt) => void, string[]]>([
    ['an unknown field', (wire) => (wire.region = 'eu'), ['/region unknown_field']],
    ['one of a cell', (wire) => (wire.cells[1]['a/b~'] = 1), ['/cells/1/a~1b~0 unknown_field']],
    ['one of a zone', (wire) => (wire.zones[0].law = 'x'), ['/zones/0/law unknown_field']],
    ['one of a standby', (wire) => (wire.cells[0].standby.url = 'x'), ['/cells/0/standby/url unknown_field']],
    [
      'one of JavaScript',
      (wire) => Object.defineProperty(wire, '__proto__', { value: 1, enumerable: true }),
      ['/__proto__ unknown_field'],
    ],
    ['a version that is a text', (wire) => (wire.version = '7'), ['/version type']],
    ['a version with a fraction', (wire) => (wire.version = 1.5), ['/version type']],
    ['version 0', (wire) => (wire.version = 0), ['/version too_small']],
    ['a version beyond ETags', (wire) => (wire.version = 1e9), ['/version too_large']],
    ['a maker that is no cell', (wire) => (wire.by = 'EU1'), ['/by format']],
    ['a maker that is none of them', (wire) => (wire.by = 'eu2'), ['/by cell_unknown']],
    ['no zones', (wire) => (wire.zones = []), ['/zones too_few']],
    ['a zone without regions', (wire) => (wire.zones[0].regions = []), ['/zones/0/regions too_few']],
    ['a zone of capital letters', (wire) => (wire.zones[0].name = 'Europe'), ['/zones/0/name format']],
    ['a region with a number behind', (wire) => (wire.zones[0].regions[0] = 'eu1'), ['/zones/0/regions/0 format']],
    ['a region that is null', (wire) => (wire.zones[0].regions[1] = null), ['/zones/0/regions/1 type']],
    ['a cell that is a text', (wire) => (wire.cells[2] = 'ap1'), ['/cells/2 type']],
    ['a cell without a key', (wire) => delete wire.cells[2].public_key, ['/cells/2/public_key required']],
    ['a cell name that is none', (wire) => (wire.cells[2].name = '1ap'), ['/cells/2/name format']],
    ['a state that is none', (wire) => (wire.cells[2].state = 'gone'), ['/cells/2/state not_allowed']],
    ['a durability that is none', (wire) => (wire.cells[2].durability = true), ['/cells/2/durability not_allowed']],
    ['what it does alone', (wire) => (wire.cells[2].on_isolation = 'wait'), ['/cells/2/on_isolation not_allowed']],
    ['a standby that is a text', (wire) => (wire.cells[0].standby = 'ch'), ['/cells/0/standby type']],
    ['a standby nowhere', (wire) => (wire.cells[0].standby = {}), ['/cells/0/standby/region required']],
    ['a key of padding', (wire) => (wire.cells[2].public_key = `${keyOf(3)}=`), ['/cells/2/public_key format']],
    ['a key in base64', (wire) => (wire.cells[2].public_key = `+${keyOf(3).slice(1)}`), ['/cells/2/public_key format']],
    ['31 bytes', (wire) => (wire.cells[2].public_key = keyOf(3).slice(1)), ['/cells/2/public_key format']],
    [
      'bits beyond 32 bytes',
      (wire) => (wire.cells[2].public_key = `${keyOf(3).slice(0, -1)}B`),
      ['/cells/2/public_key format'],
    ],
    ['a key in two lines', (wire) => (wire.cells[2].public_key = `${keyOf(3)}\n`), ['/cells/2/public_key format']],
    [
      'an endless address',
      (wire) => (wire.cells[2].url = `https://${'a'.repeat(200)}.example`),
      ['/cells/2/url format'],
    ],
    [
      'several at once',
      (wire) => {
        wire.version = null
        wire.cells[0].url = 7
        delete wire.cells[1].name
      },
      ['/version type', '/cells/0/url type', '/cells/1/name required'],
    ],
  ])('%s', (_, spoil, problems) => {
    expect(told(spoilt(spoil))).toEqual(problems)
  })
})

describe('what does not fit together is refused', () => {
  test.each<[string, (wire: Spoilt) => void, string[]]>([
    ['two cells of one name', (wire) => (wire.cells[2].name = 'us1'), ['/cells/2/name repeated']],
    [
      'a cell with the name of one that was removed',
      (wire) => {
        wire.cells[2].state = 'removed'
        wire.cells[1].name = 'ap1'
      },
      ['/cells/2/name repeated'],
    ],
    ['two zones of one name', (wire) => (wire.zones[1].name = 'europe'), ['/zones/1/name repeated']],
    ['a region in two zones', (wire) => wire.zones[1].regions.push('eu'), ['/zones/1/regions/2 repeated']],
    ['a region twice in a zone', (wire) => wire.zones[1].regions.push('us'), ['/zones/1/regions/2 repeated']],
    ['a cell in a region of no zone', (wire) => (wire.cells[2].name = 'sa1'), ['/cells/2/name region_unknown']],
    [
      'a standby in a region of no zone',
      (wire) => (wire.cells[1].standby.region = 'sa'),
      ['/cells/1/standby/region region_unknown'],
    ],
    [
      'a standby outside the zone',
      (wire) => (wire.cells[0].standby.region = 'us'),
      ['/cells/0/standby/region standby_outside_zone'],
    ],
    ['geo without a standby', (wire) => (wire.cells[0].standby = null), ['/cells/0/standby standby_required']],
    ['two cells at one address', (wire) => (wire.cells[2].url = wire.cells[0].url), ['/cells/2/url url_repeated']],
    ['two cells with one key', (wire) => (wire.cells[2].public_key = keyOf(1)), ['/cells/2/public_key key_repeated']],
    [
      'the key of one that was removed',
      (wire) => {
        wire.cells[0].state = 'removed'
        wire.cells[2].public_key = keyOf(1)
      },
      ['/cells/2/public_key key_repeated'],
    ],
    [
      'no cell that is left',
      (wire) => {
        for (const cell of wire.cells) cell.state = 'removed'
      },
      ['/cells too_few'],
    ],
  ])('%s', (_, spoil, problems) => {
    expect(told(spoilt(spoil))).toEqual(problems)
  })

  test.each<[string, (wire: Spoilt) => void]>([
    ['a standby in the cell’s own region', (wire) => (wire.cells[0].standby.region = 'eu')],
    ['a local cell with a standby', (wire) => (wire.cells[2].standby = { region: 'us' })],
    [
      'an address whose cell was removed',
      (wire) => {
        wire.cells[0].state = 'removed'
        wire.cells[2].url = wire.cells[0].url
      },
    ],
    [
      'a removed cell whose region is no more',
      (wire) => {
        wire.cells[2].state = 'removed'
        wire.zones[1].regions = ['us']
      },
    ],
    [
      'all cells draining',
      (wire) => {
        for (const cell of wire.cells) cell.state = 'draining'
      },
    ],
  ])('but not %s', (_, spoil) => {
    expect(told(spoilt(spoil))).toEqual([])
  })

  test.each([
    ['https://ap1.example.org', true],
    ['https://eu1.example.com:8443', true],
    ['https://10.1.2.3:8443', true],
    ['https://[2001:db8::1]', true],
    ['http://127.0.0.1:8080', true],
    ['http://127.8.0.1', true],
    ['http://localhost:8080', true],
    ['http://[::1]:8080', true],
    ['http://eu1.example.com', false],
    ['http://10.1.2.3:8080', false],
    ['http://127.evil.example', false],
    ['http://localhost.example.com', false],
    ['eu1.example.com', false],
    ['', false],
    ['ftp://eu1.example.com', false],
    ['unix:/run/holdfast', false],
    ['https://', false],
    ['https://eu1.example.com/', false],
    ['https://eu1.example.com/api', false],
    ['https://eu1.example.com?x', false],
    ['https://eu1.example.com#x', false],
    ['https://me:secret@eu1.example.com', false],
    ['https://EU1.example.com', false],
    ['https://eu1.example.com:443', false],
    ['https://eu1.example.com:99999', false],
    ['http://2130706433', false], // 127.0.0.1, written so that two texts are one address
    [' https://eu1.example.com', false],
    ['https://eu1.example.com\n', false],
  ])('the address %j is allowed: %s', (url, isAllowed) => {
    expect(told(spoilt((wire) => (wire.cells[2].url = url))).length === 0).toBe(isAllowed)
  })

  test('http beyond loopback is for those who say so', () => {
    const wire = spoilt((whole) => (whole.cells[2].url = 'http://10.1.2.3:8080'))
    expect(told(wire)).toEqual(['/cells/2/url url_not_allowed'])
    expect(told(wire, { httpAnywhere: true })).toEqual([])
  })

  test('more cells than are allowed, those that were removed apart', () => {
    const many = (count: number, names: number) => {
      const cells = Array.from({ length: names }, (_, at) =>
        cellOf(`eu${at + 1}`, 0, { publicKey: longKeyOf(at), state: at < count ? 'active' : 'removed' }),
      )
      return told(topologyJson(threeCells({ cells })))
    }
    expect(many(limits.cellsMax, limits.cellsMax)).toEqual([])
    expect(many(limits.cellsMax + 1, limits.cellsMax + 1)).toEqual(['/cells too_many'])
    expect(many(1, limits.cellNamesMax)).toEqual([])
    expect(many(1, limits.cellNamesMax + 1)).toEqual(['/cells too_many'])
  })
})

const longKeyOf = (n: number): string => `${String(n).padStart(42, '0')}A`

const versions = fc.record({ version: fc.integer({ min: 1, max: 3 }), by: fc.constantFrom(eu1, us1), url: fc.nat(1) })
const topologies = versions.map(({ version, by, url }) =>
  threeCells({
    version,
    by,
    cells: [cellOf('eu1', 1), cellOf('us1', 2), cellOf('ap1', 3, { url: `https://ap${url}.example` })],
  }),
)

describe('of two', () => {
  test('the greater version is newer, then the greater name of its maker', () => {
    const [older, newer] = [threeCells({ version: 9 }), threeCells({ version: 10 })]
    expect(newerTopology(older, newer)).toBe(newer)
    expect(newerTopology(newer, older)).toBe(newer)
    const byUs = threeCells({ version: 9, by: us1 })
    expect(newerTopology(older, byUs)).toBe(byUs)
    expect(newerTopology(byUs, older)).toBe(byUs)
  })

  test('everybody finds the same one newer, in whatever order they hear of them', () => {
    fc.assert(
      fc.property(fc.array(topologies, { minLength: 1 }), fc.infiniteStream(fc.nat()), (heard, draws) => {
        const newest = (all: readonly Topology[]) => canonicalTopology(all.reduce(newerTopology))
        const shuffled = heard.toSorted(() => ((draws.next().value as number) % 2 === 0 ? 1 : -1))
        expect(newest(shuffled)).toBe(newest(heard))
        expect(newest([...heard, ...shuffled])).toBe(newest(heard))
      }),
    )
  })
})

describe('a change', () => {
  const change = (topology: Topology, wanted: TopologyChange): Topology => {
    const next = changeTopology(topology, wanted, us1)
    if ('code' in next) throw new Error(next.detail)
    return next
  }
  const refusal = (topology: Topology, wanted: TopologyChange) => {
    const next = changeTopology(topology, wanted, us1)
    return 'code' in next ? `${next.pointer} ${next.code}` : undefined
  }

  test('is the next version, by the cell at which it is made, and leaves the one before as it was', () => {
    const before = threeCells()
    const next = change(before, { kind: 'drain', name: eu1 })
    expect(before).toEqual(threeCells())
    expect(next).toMatchObject({ version: 8, by: 'us1' })
    expect(cellNamed(next, eu1)!.state).toBe('draining')
    expect(next.cells.slice(1)).toEqual(before.cells.slice(1))
    expect(cellNamed(change(next, { kind: 'activate', name: eu1 }), eu1)!.state).toBe('active')
  })

  test('adds a cell to a region that has a zone, and a region to a zone, new or not', () => {
    const added = change(threeCells(), { kind: 'add', cell: cellOf('eu2', 4) })
    expect(added.cells.map(({ name }) => name)).toEqual(['eu1', 'us1', 'ap1', 'eu2'])
    expect(added.zones).toEqual(threeCells().zones)
    const sa1 = cellOf('sa1', 4)
    expect(refusal(threeCells(), { kind: 'add', cell: sa1 })).toBe('/cells/3/name region_unknown')
    expect(change(threeCells(), { kind: 'add', cell: sa1, zone: 'world' }).zones[1]!.regions).toEqual([
      'us',
      'ap',
      'sa',
    ])
    expect(change(threeCells(), { kind: 'add', cell: sa1, zone: 'south' }).zones[2]).toEqual({
      name: 'south',
      regions: ['sa'],
    })
  })

  test('adds no name, address or key that another has, and no name or key that was ever used', () => {
    expect(refusal(threeCells(), { kind: 'add', cell: cellOf('us1', 4) })).toBe('/cells/3/name repeated')
    const gone = change(change(threeCells(), { kind: 'drain', name: us1 }), { kind: 'remove', name: us1 })
    expect(refusal(gone, { kind: 'add', cell: cellOf('us1', 4) })).toBe('/cells/3/name name_used')
    expect(refusal(gone, { kind: 'add', cell: cellOf('us1', 2) })).toBe('/cells/3/name name_used')
    expect(refusal(gone, { kind: 'add', cell: cellOf('us2', 2) })).toBe('/cells/3/public_key key_repeated')
    expect(
      change(gone, { kind: 'add', cell: cellOf('us2', 4, { url: 'https://us1.example.com' }) }).cells,
    ).toHaveLength(4)
  })

  test('removes a draining cell only, which stays named and is never changed again', () => {
    expect(refusal(threeCells(), { kind: 'remove', name: us1 })).toBe('/cells/1/state not_draining')
    const gone = change(change(threeCells(), { kind: 'drain', name: us1 }), { kind: 'remove', name: us1 })
    expect(cellNamed(gone, us1)!.state).toBe('removed')
    for (const kind of ['activate', 'drain', 'remove'] as const)
      expect(refusal(gone, { kind, name: us1 })).toBe('/name name_used')
  })

  test('of a cell that never was is refused', () => {
    expect(refusal(threeCells(), { kind: 'drain', name: 'sa1' as CellName })).toBe('/name cell_unknown')
  })

  test('by whole topologies follows the same rules', () => {
    const next = (spoil: (topology: Topology) => void, before = threeCells()) => {
      const after = structuredClone(before)
      after.version++
      spoil(after)
      const found = checkNextTopology(before, after)
      return Array.isArray(found) ? found.map(({ pointer, code }) => `${pointer} ${code}`) : []
    }
    expect(next(() => {})).toEqual([])
    expect(next(({ cells }) => cells.reverse())).toEqual([])
    expect(next(({ cells }) => (cells[0]!.url = 'https://other.example.com'))).toEqual([])
    expect(next(({ cells }) => cells.pop())).toEqual(['/cells name_dropped'])
    expect(next(({ cells }) => (cells[2]!.state = 'removed'))).toEqual(['/cells/2/state not_draining'])
    // One that joins learns of those that went before it came.
    expect(next(({ cells }) => cells.push(cellOf('ap2', 4, { state: 'removed' })))).toEqual([])
    const gone = structuredClone(threeCells())
    gone.cells[2]!.state = 'removed'
    for (const more of [{ state: 'active' }, { publicKey: keyOf(9) }, { url: 'https://x.example' }] as const)
      expect(next(({ cells }) => Object.assign(cells[2]!, more), gone)).toEqual(['/cells/2/name name_used'])
    expect(next(({ cells }) => cells.pop(), gone)).toEqual(['/cells name_dropped'])
  })

  test('whatever is asked for, every version is whole, and what was ever named is named, once', () => {
    const name = fc.constantFrom('eu1', 'us1', 'ap1', 'eu2', 'sa1') as fc.Arbitrary<CellName>
    const wanted: fc.Arbitrary<TopologyChange> = fc.oneof(
      fc.record({ kind: fc.constantFrom('drain' as const, 'activate' as const, 'remove' as const), name }),
      fc.record({
        kind: fc.constant('add' as const),
        cell: fc.tuple(name, fc.integer({ min: 0, max: 9 })).map(([text, n]) => cellOf(text, n)),
        zone: fc.constantFrom('world', 'south'),
      }),
    )
    fc.assert(
      fc.property(fc.array(wanted, { maxLength: 20 }), (changes) => {
        let topology = threeCells()
        for (const one of changes) {
          const next = changeTopology(topology, one, eu1)
          if ('code' in next) continue
          expect(checkTopology(topologyJson(next))).toEqual(next)
          expect(newerTopology(topology, next)).toBe(next)
          const names = next.cells.map((cell) => cell.name)
          expect(new Set(names).size).toBe(names.length)
          for (const cell of topology.cells) {
            expect(names).toContain(cell.name)
            if (cell.state === 'removed') expect(cellNamed(next, cell.name)).toEqual(cell)
          }
          topology = next
        }
      }),
    )
  })
})

test('the first cell is the first that has not been removed', () => {
  const topology = threeCells()
  expect(firstCell(topology)).toBe('eu1')
  topology.cells[0]!.state = 'removed'
  expect(firstCell(topology)).toBe('us1')
})
