// The generator behind the simulator: one seed, one run; draws in their range, and not lopsided.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { prng } from '../../src/base/prng.ts'

const draw = (seed: number, count: number) => {
  const random = prng(seed)
  return Array.from({ length: count }, () => random.next())
}

test('the same seed draws the same, another seed another', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      expect(draw(seed, 20)).toEqual(draw(seed, 20))
      expect(draw(seed, 20)).not.toEqual(draw(seed ^ 1, 20))
    }),
  )
})

test('draws stay in their range and reach both ends', () => {
  const random = prng(1)
  const seen = new Set(Array.from({ length: 2_000 }, () => random.between(-3, 3)))
  expect([...seen].toSorted((a, b) => a - b)).toEqual([-3, -2, -1, 0, 1, 2, 3])
  for (const value of draw(2, 2_000)) expect(value >= 0 && value < 1).toBe(true)
  expect(prng(3).bytes(7)).toHaveLength(7)
})

test('of 16 equal boxes none is far from its share, over neighbouring seeds as within one', () => {
  const boxes = (values: number[]): number[] => {
    const counts: number[] = Array(16).fill(0)
    for (const value of values) counts[Math.floor(value * 16)]! += 1
    return counts
  }
  const neighbours = Array.from({ length: 16_000 }, (_, seed) => prng(seed).next())
  for (const counts of [boxes(draw(4, 16_000)), boxes(neighbours)]) {
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150) // about five standard deviations
  }
})

test('a fork draws on its own: what it takes does not shift the rest', () => {
  const [used, unused] = [prng(5), prng(5)]
  const fork = used.fork()
  unused.fork()
  for (let count = 0; count < 10; count++) fork.next()
  expect(used.next()).toBe(unused.next())
})

test('chance keeps its odds', () => {
  const random = prng(6)
  const hits = Array.from({ length: 10_000 }, () => random.chance(0.3)).filter(Boolean).length
  expect(Math.abs(hits - 3_000)).toBeLessThan(250)
  expect(random.chance(0)).toBe(false)
  expect(random.chance(1)).toBe(true)
})
