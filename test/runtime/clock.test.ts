// Time in tests passes only when it is told to.
import { describe, expect, test } from 'vitest'
import { instant } from '../../src/base/time.ts'
import { manualClock, systemClock } from '../../src/runtime/clock.ts'

describe('a manual clock', () => {
  test('wakes sleepers when their time has come, in the order of their times', async () => {
    const clock = manualClock(instant(1_000))
    const woken: string[] = []
    const sleeps = [clock.sleep(20).then(() => woken.push('late')), clock.sleep(10).then(() => woken.push('early'))]
    clock.pass(5)
    expect(clock.sleepers).toBe(2)
    clock.pass(20)
    await Promise.all(sleeps)
    expect(woken).toEqual(['early', 'late'])
    expect(clock.now()).toBe(1_025)
  })

  test('may jump back by the time of day while no time passes', () => {
    const clock = manualClock(instant(1_000_000))
    clock.pass(50)
    clock.jump(instant(500))
    expect(clock.now()).toBe(500)
    expect(clock.elapsedMs()).toBe(50)
    clock.pass(1)
    expect(clock.now()).toBe(501)
  })

  test('ends a sleep that is called off', async () => {
    const clock = manualClock(instant(0))
    const stop = new AbortController()
    const sleep = clock.sleep(1_000, stop.signal)
    stop.abort()
    await sleep
    await clock.sleep(1_000, stop.signal)
    expect(clock.sleepers).toBe(0)
  })
})

test('the system clock ends a sleep that is called off', async () => {
  const stop = new AbortController()
  const began = systemClock.elapsedMs()
  const sleep = systemClock.sleep(60_000, stop.signal)
  stop.abort()
  await sleep
  await systemClock.sleep(60_000, stop.signal)
  expect(systemClock.elapsedMs() - began).toBeLessThan(5_000)
})
