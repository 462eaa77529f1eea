// Ids as anyone can read them: there and back for every UUID, sorting as the UUID does, and nothing else taken for an id.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CellName, isCellName, parseWireId, timeOfUuid, toWireId, type Uuid, uuidV7 } from '../../src/base/ids.ts'
import { instant } from '../../src/base/time.ts'

const uuid = fc.uuid() as fc.Arbitrary<Uuid>
const cell = fc.constantFrom('eu1', 'us1', 'ap12', 'ab') as fc.Arbitrary<CellName>
const prefix = fc.constantFrom('ord' as const, 'hld' as const)
const bytes = fc.uint8Array({ minLength: 10, maxLength: 10 })
const ms = fc.integer({ min: 0, max: 2 ** 48 - 1 })

describe('wire ids', () => {
  test('lead there and back', () => {
    fc.assert(
      fc.property(prefix, cell, uuid, (kind, home, id) => {
        const text = toWireId(kind, home, id)
        expect(text).toMatch(/^[a-z]{3}_[a-z0-9]+_[0-9a-hjkmnp-tv-z]{26}$/)
        expect(parseWireId(text)).toEqual({ prefix: kind, cell: home, uuid: id })
      }),
    )
  })

  test('sort as their UUIDs do', () => {
    const home = 'eu1' as CellName
    fc.assert(
      fc.property(uuid, uuid, (a, b) => {
        expect(toWireId('ord', home, a) < toWireId('ord', home, b)).toBe(a < b)
      }),
    )
  })

  test('the extremes', () => {
    const home = 'eu1' as CellName
    const [lowest, highest] = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'] as Uuid[]
    expect(toWireId('ord', home, lowest!)).toBe(`ord_eu1_${'0'.repeat(26)}`)
    expect(toWireId('ord', home, highest!)).toBe(`ord_eu1_7${'z'.repeat(25)}`)
  })

  test('a text has at most one meaning: whatever is an id is written again as itself', () => {
    const character = fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyzABC_-')
    const near = fc.tuple(prefix, cell, fc.string({ unit: character, minLength: 24, maxLength: 28 }))
    fc.assert(
      fc.property(near, ([kind, home, tail]) => {
        const text = `${kind}_${home}_${tail}`
        const id = parseWireId(text)
        if (id) expect(toWireId(id.prefix, id.cell, id.uuid)).toBe(text)
      }),
    )
  })

  test.each([
    '',
    'ord_eu1_',
    `ord_eu1_8${'0'.repeat(25)}`, // 131 bits
    `ord_eu1_${'0'.repeat(25)}`,
    `ord_eu1_${'0'.repeat(27)}`,
    `ord_eu1_0${'i'.repeat(25)}`, // not of the alphabet
    `ord_EU1_${'0'.repeat(26)}`,
    `ORD_eu1_${'0'.repeat(26)}`,
    `ord_eu1_${'0'.repeat(26)}\n`,
    ` ord_eu1_${'0'.repeat(26)}`,
  ])('%j is none', (text) => {
    expect(parseWireId(text)).toBeUndefined()
  })
})

describe('UUIDv7', () => {
  test('is of version 7 and the RFC’s variant, and tells its time', () => {
    fc.assert(
      fc.property(ms, bytes, (at, random) => {
        const id = uuidV7(instant(at), random)
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        expect(timeOfUuid(id)).toBe(at)
      }),
    )
  })

  test('grows in time', () => {
    fc.assert(
      fc.property(ms, ms, bytes, bytes, (a, b, left, right) => {
        if (a < b) expect(uuidV7(instant(a), left) < uuidV7(instant(b), right)).toBe(true)
      }),
    )
  })

  test('every random bit counts', () => {
    const of = (random: Uint8Array) => uuidV7(instant(0), random)
    let bits = 0
    for (let bit = 0; bit < 80; bit++) {
      const random = new Uint8Array(10)
      random[bit >> 3] = 1 << (bit & 7)
      if (of(random) !== of(new Uint8Array(10))) bits++
    }
    expect(bits).toBe(74)
  })
})

test.each([
  ['eu1', true],
  ['a1', true],
  ['a', false],
  ['1eu', false],
  ['EU1', false],
  ['eu_1', false],
  ['a'.repeat(17), false],
])('cell name %s: %s', (text, isName) => {
  expect(isCellName(text)).toBe(isName)
})
