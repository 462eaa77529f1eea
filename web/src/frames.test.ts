// Changes are drawn once a frame, and the feed holds the newest alone.
import { expect, test } from 'vitest'
import { createFrames } from './frames.ts'
import { createRing } from './ring.ts'

test('listeners are told once a frame, however often something changed', () => {
  const asked: (() => void)[] = []
  const frames = createFrames((run) => asked.push(run))
  let told = 0
  frames.subscribe(() => told++)
  for (let change = 0; change < 5000; change++) frames.mark()
  expect(asked.length).toBe(1)
  asked.pop()!()
  expect(told).toBe(1)
  frames.mark()
  expect(asked.length).toBe(1)
  expect(frames.version()).toBe(1)
})

test('a listener that left is told no more', () => {
  const asked: (() => void)[] = []
  const frames = createFrames((run) => asked.push(run))
  let told = 0
  const leave = frames.subscribe(() => told++)
  leave()
  frames.mark()
  asked.pop()!()
  expect(told).toBe(0)
})

test('a ring holds as many as it may, the newest first', () => {
  const ring = createRing<number>(3)
  expect(ring.at(0)).toBe(undefined)
  for (let item = 1; item <= 5; item++) ring.push(item)
  expect(ring.newestFirst()).toEqual([5, 4, 3])
  expect([ring.at(2), ring.at(3), ring.at(-1)]).toEqual([3, undefined, undefined])
  expect([ring.length, ring.pushed]).toEqual([3, 5])
})
