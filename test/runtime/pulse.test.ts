// The counts of the last seconds, on a clock that is set by hand.
import { expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { instant } from '../../src/base/time.ts'
import { manualClock } from '../../src/runtime/clock.ts'
import { createPulseMeter } from '../../src/runtime/pulse.ts'

function openMeter() {
  const clock = manualClock(instant(0))
  clock.pass(100_000)
  return { clock, meter: createPulseMeter(clock.elapsedMs) }
}

test('rates are means of the last five whole seconds, and what is older is forgotten', () => {
  const { clock, meter } = openMeter()
  for (let second = 0; second < 5; second++) {
    for (let order = 0; order < 10; order++) meter.placed()
    clock.pass(1_000)
  }
  meter.placed() // of the second that has not ended
  expect(meter.read().ordersPerS).toBe(10)
  clock.pass(3_000)
  expect(meter.read().ordersPerS).toBe(4.2)
  clock.pass(1_000_000)
  expect(meter.read().ordersPerS).toBe(0)
})

test('an answer to placing is refused by 4xx and 503, a fault by every other 5xx, and both are requests', () => {
  const { clock, meter } = openMeter()
  for (const status of [201, 409, 422, 503, 500]) meter.answered(status, 'at_once', 5)
  for (const status of [200, 404, 503, 502]) meter.answered(status, null, 5)
  clock.pass(1_000)
  expect(meter.read()).toMatchObject({ refusedPerS: 3 / 5, errorsPerS: 2 / 5, requestsPerS: 9 / 5 })
})

test('latencies are of placing in the last ten seconds, never less than they were and at most a tenth more', () => {
  const { clock, meter } = openMeter()
  expect(meter.read()).toMatchObject({ p50Ms: null, p99Ms: null })
  for (let nth = 1; nth <= 1_000; nth++) meter.answered(201, 'at_once', nth / 10)
  meter.answered(201, 'waiting', 60_000) // its caller asked to wait
  meter.answered(200, null, 60_000)
  meter.answered(503, 'at_once', null)
  const { p50Ms, p99Ms } = meter.read()
  expect(p50Ms).toBeGreaterThanOrEqual(50)
  expect(p50Ms).toBeLessThan(55)
  expect(p99Ms).toBeGreaterThanOrEqual(99)
  expect(p99Ms).toBeLessThan(109)
  clock.pass(9_000)
  meter.answered(201, 'at_once', 0)
  meter.answered(201, 'at_once', 1e9)
  expect(meter.read().p50Ms).toBe(p50Ms)
  clock.pass(1_000)
  expect(meter.read().p50Ms).toBeLessThanOrEqual(0.1)
  clock.pass(10_000)
  expect(meter.read().p99Ms).toBeNull()
})

test('money is of the last sixty seconds, of one shop, each currency for itself', () => {
  const { clock, meter } = openMeter()
  meter.captured(1, { amount: 500, currency: 'EUR' })
  clock.pass(30_000)
  meter.captured(1, { amount: 250, currency: 'EUR' })
  meter.captured(1, { amount: 1, currency: 'USD' })
  meter.captured(11, { amount: 9, currency: 'EUR' })
  expect(meter.capturedLately(1)).toEqual([
    { amount: 750, currency: 'EUR' },
    { amount: 1, currency: 'USD' },
  ])
  clock.pass(30_000)
  expect(meter.capturedLately(1)[0]).toEqual({ amount: 250, currency: 'EUR' })
  expect(meter.capturedLately(2)).toEqual([])
  clock.pass(30_000)
  expect(meter.capturedLately(1)).toEqual([])
})

test('what goes to each peer is told apart', () => {
  const { clock, meter } = openMeter()
  meter.sentUnits('us1', 50)
  meter.sentRequest('ap1')
  clock.pass(1_000)
  expect(meter.read().sentTo('us1')).toEqual({ unitsPerS: 10, requestsPerS: 0 })
  expect(meter.read().sentTo('ap1')).toEqual({ unitsPerS: 0, requestsPerS: 0.2 })
  expect(meter.read().sentTo('eu9')).toEqual({ unitsPerS: 0, requestsPerS: 0 })
})

test('however many series there are, the meter stays small', () => {
  const { meter } = openMeter()
  for (let shop = 0; shop <= limits.pulseSeriesMax; shop++) meter.captured(shop, { amount: 1, currency: 'EUR' })
  expect(meter.capturedLately(0)).toEqual([])
  expect(meter.capturedLately(limits.pulseSeriesMax)).toHaveLength(1)
})
