// Allotments as arithmetic: nothing is made or lost by a split, a giver keeps what it may keep, and two cells come to rest.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CellName } from '../../../src/base/ids.ts'
import { instant } from '../../../src/base/time.ts'
import {
  isElderWant,
  newInTotal,
  sharesByDemand,
  splitUnits,
  unitsToAskFor,
  unitsToGive,
} from '../../../src/modules/stock/escrow.ts'
import type { Ask, Stand } from '../../../src/modules/stock/types.ts'

const units = fc.integer({ min: 0, max: 1_000_000_000_000 })
const rate = fc.oneof(fc.constant(0), fc.double({ min: 0.001, max: 100_000, noNaN: true }))
const cells = ['eu1', 'us1', 'ap1', 'eu2'] as CellName[]
const rates = fc
  .array(rate, { minLength: 1, maxLength: 4 })
  .map((all) => all.map((one, at) => ({ cell: cells[at]!, rate: one })))
const ask = (more: Partial<Ask>): Ask => ({
  ...{ need: 0, wanted: 0, rate: 0, available: 0, location: null, evenIfGrouped: false, isKnown: true },
  ...more,
})
const stand = (more: Partial<Stand> = {}): Stand => ({ rate: 0, safety: 0, isElder: false, ...more })

test('a split makes and loses nothing, and gives nobody less than nothing', () => {
  fc.assert(
    fc.property(units, rates, (count, demand) => {
      const parts = splitUnits(count, sharesByDemand(demand))
      expect(parts.reduce((sum, part) => sum + part, 0)).toBe(count)
      expect(Math.min(...parts)).toBeGreaterThanOrEqual(0)
    }),
  )
})

test('a split follows demand, and a cell without any still gets a little of a lot', () => {
  const demand = [30, 10, 0].map((one, at) => ({ cell: cells[at]!, rate: one }))
  expect(splitUnits(1_000, sharesByDemand(demand))).toEqual(
    [726, 241, 32].map((part, at) => (at === 0 ? part + 1 : part)),
  )
  expect(splitUnits(100, sharesByDemand(demand.map((one) => ({ ...one, rate: 0 }))))).toEqual([34, 33, 33])
  expect(splitUnits(2, sharesByDemand(demand.map((one) => ({ ...one, rate: 0 }))))).toEqual([2, 0, 0])
})

test('a giver never gives more than it has, nor less than is needed while it has it', () => {
  fc.assert(
    fc.property(
      units,
      units,
      units,
      units,
      rate,
      rate,
      units,
      (free, need, wanted, available, theirs, ours, safety) => {
        const given = unitsToGive(free, ask({ need, wanted, available, rate: theirs }), stand({ rate: ours, safety }))
        expect(given).toBeLessThanOrEqual(free)
        expect(given).toBeGreaterThanOrEqual(Math.min(need, free))
        expect(given).toBeLessThanOrEqual(Math.max(need, wanted))
        if (given > need) expect(free - given).toBeGreaterThanOrEqual(safety)
      },
    ),
  )
})

test('who was first keeps all it has', () => {
  expect(unitsToGive(10, ask({ need: 5, wanted: 5 }), stand({ isElder: true }))).toBe(0)
})

test('of two wants exactly one is the elder', () => {
  const want = fc.record({ firstAskedAt: fc.integer({ min: 0, max: 3 }).map(instant), cell: fc.constantFrom(...cells) })
  fc.assert(
    fc.property(want, want, (a, b) => {
      const isOne = a.cell === b.cell && a.firstAskedAt === b.firstAskedAt
      expect(isElderWant(a, b) !== isElderWant(b, a)).toBe(!isOne)
    }),
  )
})

test('a cell asks when it would be out before more can be there, and not before', () => {
  expect(unitsToAskFor({ available: 100, rate: 50, refillMs: 1_000 })).toBe(0)
  expect(unitsToAskFor({ available: 50, rate: 50, refillMs: 1_000 })).toBe(200)
  expect(unitsToAskFor({ available: 0, rate: 0, refillMs: 1_000 })).toBe(0)
  expect(unitsToAskFor({ available: -3, rate: 1, refillMs: 1_000 })).toBe(5)
  expect(unitsToAskFor({ available: 0, rate: 1, refillMs: 500 })).toBe(0)
})

test('two cells that ask each other for what they want come to rest: what has been given is not asked back', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2_000 }),
      fc.integer({ min: 0, max: 2_000 }),
      rate,
      rate,
      (one, other, ra, rb) => {
        let [a, b] = [one, other]
        const wanted = (available: number, of: number) => unitsToAskFor({ available, rate: of, refillMs: 1_000 })
        let moved = 1
        for (let round = 0; round < 5 && moved > 0; round++) {
          const toA = unitsToGive(b, ask({ wanted: wanted(a, ra), available: a, rate: ra }), stand({ rate: rb }))
          ;[a, b] = [a + toA, b - toA]
          const toB = unitsToGive(a, ask({ wanted: wanted(b, rb), available: b, rate: rb }), stand({ rate: ra }))
          ;[a, b] = [a - toB, b + toB]
          moved = toA + toB
        }
        expect(moved).toBe(0)
        expect(a + b).toBe(one + other)
      },
    ),
  )
})

test('a total credits what is new in it, and an old one nothing', () => {
  expect([newInTotal(5, 3), newInTotal(3, 5), newInTotal(5, 5)]).toEqual([2, 0, 0])
})
