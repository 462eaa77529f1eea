// Decisions on stock alone: who may leave what short, counts and their time, policies, and how units are handed to lines.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CellName, LocationCode, ShopId, Sku } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import { addMs } from '../../../src/base/time.ts'
import { decideBatch } from '../../../src/modules/orders/decide.ts'
import { allotToLines, takeUnits } from '../../../src/modules/stock/decide.ts'
import { decideAdjustStock, decideSetPolicy } from '../../../src/modules/stock/decide-adjust.ts'
import { decideHandOver, decideSendUnits } from '../../../src/modules/stock/decide-transfers.ts'
import { availableInRow, shortOf } from '../../../src/modules/stock/sourcing.ts'
import type { Adjustment, Allocation, StockRowId } from '../../../src/modules/stock/types.ts'
import { freshState, orderOf, submit } from '../orders/decide-given.ts'

const shopId = 1 as ShopId
const facts = ['counted', 'damaged', 'lost'] as const
const decisions = ['received', 'returned', 'correction'] as const

const adjust = (change: Adjustment['change'], reason: Adjustment['reason'], location = 'main') => ({
  kind: 'adjust_stock' as const,
  shopId,
  adjustments: [{ sku: 'A' as Sku, location: location as LocationCode, change, reason }],
})
const rowsOf = (state: ReturnType<typeof freshState>) => state.rows.get('1 A')!

/** A has 5 at main and 5 at east; `sold` of them are sold, main's first. */
function given(sold: number) {
  const state = freshState()
  if (sold > 0) decideBatch(state, [submit(orderOf({ A: sold }, { provider: 'none' }))])
  return state
}

describe('adjustments', () => {
  test('every reason, every change from −7 to 7, at every level of sale: decisions leave nothing short, nothing goes below zero', () => {
    for (const reason of [...facts, ...decisions]) {
      for (let sold = 0; sold <= 10; sold++) {
        for (let delta = -7; delta <= 7; delta++) {
          const state = given(sold)
          const [main] = rowsOf(state)
          const [onHand, before] = [main!.onHand, shortOf(rowsOf(state))]
          const isFact = (facts as readonly string[]).includes(reason)
          const outcome = decideAdjustStock(state, adjust({ delta }, reason))
          const fits = onHand + delta >= 0 && (isFact || delta >= 0 || main!.committed <= onHand + delta)
          expect(outcome.ok, `${reason} ${delta} with ${sold} sold`).toBe(fits)
          expect(main!.onHand).toBe(fits ? onHand + delta : onHand)
          if (!isFact) expect(shortOf(rowsOf(state))).toBeLessThanOrEqual(before)
        }
      }
    }
  })

  test('whatever facts came before, no decision makes a SKU shorter than it is', () => {
    const step = fc.record({
      location: fc.constantFrom('main', 'east') as fc.Arbitrary<LocationCode>,
      delta: fc.integer({ min: -5, max: 3 }),
      reason: fc.constantFrom(...facts, ...decisions),
    })
    fc.assert(
      fc.property(fc.nat(10), fc.array(step, { minLength: 1, maxLength: 8 }), (sold, steps) => {
        const state = given(sold)
        for (const { location, delta, reason } of steps) {
          const before = shortOf(rowsOf(state))
          decideAdjustStock(state, adjust({ delta }, reason, location))
          if ((decisions as readonly string[]).includes(reason)) {
            expect(shortOf(rowsOf(state))).toBeLessThanOrEqual(before)
          }
        }
      }),
    )
  })

  test('a row that becomes short, or shorter, says so; one that stays as short as it was does not', () => {
    const shorts = (change: Adjustment['change']) => {
      const state = given(5)
      decideAdjustStock(state, adjust({ set: 3, asOf: null }, 'counted'))
      state.events.length = 0
      decideAdjustStock(state, adjust(change, 'counted'))
      return state.events.filter((event) => event.type === 'stock.short').map((event) => event.data.short)
    }
    expect(shorts({ set: 1, asOf: null })).toEqual([4])
    expect(shorts({ delta: -1 })).toEqual([3])
    expect(shorts({ delta: 0 })).toEqual([])
    expect(shorts({ set: 4, asOf: null })).toEqual([])
    expect(shorts({ set: 9, asOf: null })).toEqual([])
  })

  test('counts apply in the order of their own time, whatever order they come in', () => {
    const counts = fc.uniqueArray(fc.record({ at: fc.nat(1_000), units: fc.nat(50) }), {
      selector: (one) => one.at,
      minLength: 1,
      maxLength: 8,
    })
    fc.assert(
      fc.property(counts, (all) => {
        const state = given(0)
        for (const { at, units } of all) {
          decideAdjustStock(state, adjust({ set: units, asOf: addMs(state.now, at - 1_000) }, 'counted'))
        }
        expect(rowsOf(state)[0]!.onHand).toBe(all.toSorted((a, b) => b.at - a.at)[0]!.units)
      }),
    )
  })

  test('more units than can be counted are refused', () => {
    const state = given(0)
    expect(decideAdjustStock(state, adjust({ delta: limits.unitsMax }, 'received'))).toMatchObject({
      code: 'units_too_large',
    })
    expect(decideAdjustStock(state, adjust({ set: limits.unitsMax, asOf: null }, 'counted'))).toMatchObject({
      ok: true,
    })
  })
})

describe('policies', () => {
  const policy = (allowance: number, tracking: 'counted' | 'none' = 'counted') => ({
    kind: 'set_policy' as const,
    shopId,
    policy: { sku: 'A' as Sku, tracking, allowance, regions: null, group: null },
    ifVersion: null,
  })

  test('an allowance is granted once, whatever it was before; tracking is the same on every row', () => {
    const steps = fc.array(
      fc.record({ allowance: fc.nat(9), tracking: fc.constantFrom('counted' as const, 'none' as const) }),
      { minLength: 1 },
    )
    fc.assert(
      fc.property(steps, (all) => {
        const state = given(0)
        for (const [index, { allowance, tracking }] of all.entries()) {
          expect(decideSetPolicy(state, policy(allowance, tracking))).toMatchObject({
            ok: true,
            value: { version: index + 1 },
          })
          expect(rowsOf(state).reduce((sum, row) => sum + row.allowance, 0)).toBe(allowance)
          expect(new Set(rowsOf(state).map((row) => row.tracking))).toEqual(new Set([tracking]))
        }
      }),
    )
  })

  test('taking back an allowance that was sold is allowed and leaves the row short, which is told', () => {
    const state = given(0)
    decideSetPolicy(state, policy(2))
    decideBatch(state, [submit(orderOf({ A: 12 }))])
    decideSetPolicy(state, policy(0))
    expect(rowsOf(state).map(availableInRow)).toEqual([-2, 0])
    expect(state.events.filter((event) => event.type === 'stock.short').map((event) => event.data.short)).toEqual([2])
  })
})

describe('units of a SKU in several lines', () => {
  const sources = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })
  const allocationsOf = (units: number[]): Allocation[] =>
    units.map((quantity, index) => ({ row: index as StockRowId, location: 'main' as LocationCode, quantity }))
  const sum = (list: readonly Allocation[]) => list.reduce((total, one) => total + one.quantity, 0)

  test('are handed out in order, each line its own, none twice', () => {
    fc.assert(
      fc.property(sources, fc.infiniteStream(fc.integer({ min: 1, max: 6 })), (units, cuts) => {
        const all = allocationsOf(units)
        const lines: { sku: Sku; quantity: number }[] = []
        for (let left = sum(all); left > 0; ) {
          const quantity = Math.min(left, cuts.next().value!)
          lines.push({ sku: 'A' as Sku, quantity })
          left -= quantity
        }
        const perLine = allotToLines(lines, new Map([['A' as Sku, allocationsOf(units)]]))
        expect(perLine.map(sum)).toEqual(lines.map((line) => line.quantity))
        for (const { row, quantity } of all) {
          const handedOut = perLine.flat().filter((one) => one.row === row)
          expect(sum(handedOut)).toBe(quantity)
        }
      }),
    )
  })

  test('what is taken off the front and what stays make the whole', () => {
    fc.assert(
      fc.property(sources, fc.nat(20), (units, wanted) => {
        const left = allocationsOf(units)
        const total = sum(left)
        const quantity = Math.min(wanted, total)
        expect(sum(takeUnits(left, quantity))).toBe(quantity)
        expect(sum(left)).toBe(total - quantity)
        expect(left.every((one) => one.quantity > 0)).toBe(true)
      }),
    )
    expect(() => takeUnits(allocationsOf([1]), 2)).toThrow('fewer units allocated')
  })
})

test('a cell that leaves is sent nothing that was meant for it before', () => {
  const us1 = 'us1' as CellName
  const shares = [freshState().cell, us1].map((cell) => ({ cell, weight: 1 }))
  const sentTo = (leaving: CellName[]) => {
    const state = freshState()
    state.leaving = new Set(leaving)
    const receipt = adjust({ delta: 8 }, 'received')
    decideAdjustStock(state, { ...receipt, adjustments: [{ ...receipt.adjustments[0]!, shares }] })
    decideHandOver(state, {
      kind: 'hand_over_units',
      shopId,
      sku: 'A' as Sku,
      shares: shares.slice(1),
      isLeaving: true,
    })
    const ask = { need: 1, wanted: 0, rate: 0, available: 0, location: null, evenIfGrouped: false, isKnown: true }
    const own = { rate: 0, safety: 0, isElder: false }
    decideSendUnits(state, { kind: 'send_units', shopId, sku: 'A' as Sku, to: us1, ask, own })
    return [...state.transfers.values()].flat().reduce((sum, { sentUnits }) => sum + sentUnits, 0)
  }
  expect(sentTo([])).toBe(18)
  expect(sentTo([us1])).toBe(0)
})
