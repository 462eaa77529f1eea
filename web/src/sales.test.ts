// How fast SKUs sell, and when they are gone.
import { describe, expect, test } from 'vitest'
import { createSales, secondsToSellOut } from './sales.ts'

const start = Date.parse('2026-11-23T21:00:00.000Z')
const sold = (sku: string, quantity: number, second: number, cell = 'eu1') => ({
  type: 'order.placed',
  time: new Date(start + second * 1000).toISOString(),
  source: `/cells/${cell}`,
  data: { lines: [{ sku, quantity }] },
})

describe('the rate of sale', () => {
  test('is the units of the last minute, by cell', () => {
    const sales = createSales()
    for (let second = 0; second < 60; second++) {
      sales.add(sold('A', 2, second))
      sales.add(sold('A', 1, second, 'us1'))
    }
    expect(sales.of('A', start + 59_000)).toMatchObject({ unitsPerSecond: 3, byCell: { eu1: 2, us1: 1 } })
  })

  test('of a SKU that was first seen a moment ago is over that time, and not less than five seconds', () => {
    const sales = createSales()
    sales.add(sold('A', 10, 0))
    expect(sales.of('A', start)?.unitsPerSecond).toBe(2)
    expect(sales.of('A', start + 9000)?.unitsPerSecond).toBe(1)
  })

  test('falls to nothing a minute after the last sale', () => {
    const sales = createSales()
    sales.add(sold('A', 10, 0))
    expect(sales.of('A', start + 61_000)?.unitsPerSecond).toBe(0)
  })

  test('puts the fastest first, then what was seen last; what only moved counts as seen', () => {
    const sales = createSales()
    sales.add({ type: 'stock.adjusted', time: new Date(start).toISOString(), source: '/cells/eu1', data: { sku: 'C' } })
    sales.add(sold('A', 1, 1))
    sales.add(sold('B', 5, 1))
    expect(sales.all(start + 2000).map(({ sku }) => sku)).toEqual(['B', 'A', 'C'])
  })

  test('forgets those that were seen longest ago when there are too many', () => {
    const sales = createSales()
    for (let count = 0; count < 600; count++) sales.add(sold(`S-${count}`, 1, 1))
    const left = sales.all(start + 1000)
    expect(left.length).toBe(500)
    expect(left.some(({ sku }) => sku === 'S-0')).toBe(false)
  })
})

test('what sells is sold out when its units are gone, and what does not sell never is', () => {
  expect(secondsToSellOut(100, 4)).toBe(25)
  expect(secondsToSellOut(100, 0)).toBe(null)
  expect(secondsToSellOut(0, 0)).toBe(0)
  expect(secondsToSellOut(-3, 1)).toBe(0)
})
