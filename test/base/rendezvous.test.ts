// Owners by rendezvous: the same for everybody, spread evenly, and moved by nothing but the cell that comes or goes.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { ownerAmong } from '../../src/base/rendezvous.ts'

const names = Array.from({ length: 20 }, (_, at) => `eu${at + 1}` as CellName)
const cells = fc.uniqueArray(fc.constantFrom(...names), { minLength: 2 })

test('the owner is the same whatever the order of the cells', () => {
  fc.assert(
    fc.property(cells, fc.string(), (some, text) => {
      const owner = ownerAmong(some, text)
      expect(some).toContain(owner)
      expect(ownerAmong(some.toReversed(), text)).toBe(owner)
    }),
  )
})

test('a cell that goes moves only what it owned, and one that comes takes only what it owns then', () => {
  fc.assert(
    fc.property(cells, fc.string(), ([gone, ...others], text) => {
      const before = ownerAmong([gone!, ...others], text)
      const after = ownerAmong(others, text)
      if (before !== gone) expect(after).toBe(before)
    }),
  )
})

test.each([2, 3, 7, 20])('%i cells own about as many keys each', (count) => {
  const some = names.slice(0, count)
  const owned = new Map<CellName, number>()
  const keys = 5_000 * count
  for (let at = 0; at < keys; at++) {
    const owner = ownerAmong(some, `1 key-${at}`)
    owned.set(owner, (owned.get(owner) ?? 0) + 1)
  }
  // Six standard deviations of a fair draw.
  for (const cell of some) expect(Math.abs(owned.get(cell)! - 5_000)).toBeLessThan(6 * Math.sqrt(5_000))
})

test('the weights never change: cells of two versions must agree', () => {
  const three = ['ap1', 'eu1', 'us1'] as CellName[]
  const owners = Array.from({ length: 12 }, (_, at) => ownerAmong(three, `1 order-${at}`))
  expect(owners.join(' ')).toMatchInlineSnapshot(`"eu1 eu1 ap1 eu1 us1 eu1 us1 eu1 us1 ap1 us1 ap1"`)
  expect(ownerAmong(three, '1 Größe 🎟')).toMatchInlineSnapshot(`"eu1"`)
})

test('nobody owns anything among no cells', () => {
  expect(() => ownerAmong([], 'x')).toThrow('among some cells')
})
