// Sourcing, exhaustively for small stocks and by property for large ones.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LocationCode, ShopId, Sku } from '../../../src/base/ids.ts'
import { availableInRow, availableOf, shortOf, sourceUnits } from '../../../src/modules/stock/sourcing.ts'
import type { Site, StockRow, StockRowId } from '../../../src/modules/stock/types.ts'

const nowhere: Site = { priority: 0, country: null, lat: null, lon: null }

function row(id: number, more: Partial<StockRow> = {}): StockRow {
  return {
    id: id as StockRowId,
    shopId: 1 as ShopId,
    sku: 'A' as Sku,
    location: `l-${id}` as LocationCode,
    tracking: 'counted',
    onHand: 0,
    reserved: 0,
    committed: 0,
    shipped: 0,
    allowance: 0,
    missing: 0,
    version: 0,
    countedAt: null,
    site: nowhere,
    ...more,
  }
}

/** A row with so many units available, which may be fewer than none. */
const withAvailable = (id: number, units: number, more: Partial<StockRow> = {}): StockRow =>
  row(id, { onHand: Math.max(0, units), committed: Math.max(0, -units), ...more })

function checkSourcing(rows: StockRow[], quantity: number): void {
  const allocations = sourceUnits(rows, quantity, null)
  if (availableOf(rows) < quantity) {
    expect(allocations).toBeUndefined()
    return
  }
  expect(allocations!.reduce((sum, one) => sum + one.quantity, 0)).toBe(quantity)
  expect(new Set(allocations!.map((one) => one.row)).size).toBe(allocations!.length)
  for (const { row: id, quantity: taken } of allocations!) {
    expect(taken).toBeGreaterThan(0)
    expect(taken).toBeLessThanOrEqual(availableInRow(rows.find((one) => one.id === id)!))
  }
}

describe('sourcing', () => {
  test('every stock of up to three rows with −2 to 3 units each, every quantity to 8: all or nothing, and never more than a row has', () => {
    const units = [-2, -1, 0, 1, 2, 3]
    for (const a of units) {
      for (const b of units) {
        for (const c of units) {
          for (let quantity = 1; quantity <= 8; quantity++) {
            checkSourcing([withAvailable(1, a), withAvailable(2, b), withAvailable(3, c)], quantity)
          }
        }
      }
    }
  })

  test('large stocks too', () => {
    const stock = fc.array(fc.integer({ min: -1_000_000, max: 1_000_000_000_000 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(stock, fc.integer({ min: 1, max: 1_000_000 }), (units, quantity) => {
        checkSourcing(
          units.map((count, index) => withAvailable(index + 1, count)),
          quantity,
        )
      }),
    )
  })

  test('a row gives only when every row before it, by priority and then by age, has given all', () => {
    const site = fc.record({ units: fc.integer({ min: -3, max: 6 }), priority: fc.integer({ min: 0, max: 3 }) })
    fc.assert(
      fc.property(
        fc.array(site, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 12 }),
        (sites, quantity) => {
          const rows = sites.map(({ units, priority }, index) =>
            withAvailable(index + 1, units, { site: { ...nowhere, priority } }),
          )
          const allocations = sourceUnits(rows, quantity, null) ?? []
          const taken = new Map(allocations.map((one) => [one.row, one.quantity]))
          const last = allocations.at(-1)
          for (const one of rows.toSorted((a, b) => a.site.priority - b.site.priority || a.id - b.id)) {
            if (!last || one.id === last.row) break
            expect(taken.get(one.id) ?? 0).toBe(Math.max(0, availableInRow(one)))
          }
        },
      ),
    )
  })

  test('among rows of one priority the nearest to the destination gives first', () => {
    const site = (country: string): Site => ({ ...nowhere, country })
    const rows = [
      withAvailable(1, 5, { site: site('US') }),
      withAvailable(2, 5, { site: nowhere }),
      withAvailable(3, 5, { site: site('AT') }),
      withAvailable(4, 5, { site: site('DE') }),
    ]
    const order = (country: string) => sourceUnits(rows, 20, { country })!.map((one) => one.row)
    expect(order('DE')).toEqual([4, 3, 1, 2])
    expect(order('CA')).toEqual([1, 4, 3, 2])
  })

  test('one short row lowers what the others may give; what is short and what is available are never both', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 5 }), (units) => {
        const rows = units.map((count, index) => withAvailable(index + 1, count))
        const sum = units.reduce((total, count) => total + count, 0)
        expect(availableOf(rows) - shortOf(rows)).toBe(sum)
        expect(Math.min(availableOf(rows), shortOf(rows))).toBe(0)
      }),
    )
  })

  test('rows that are not counted never run out', () => {
    const rows = [row(1, { tracking: 'none', committed: 9 }), row(2, { committed: 9 })]
    expect(shortOf(rows)).toBe(0)
    expect(sourceUnits(rows, 1_000_000, null)).toEqual([{ row: 1, location: 'l-1', quantity: 1_000_000 }])
  })
})
