// What becomes of a delivery and of its endpoint, by what was answered.
import { describe, expect, it } from 'vitest'
import { addMs, instant } from '../../../src/base/time.ts'
import { endpointAfter, isTypePattern, retryPausesMs, verdictOf } from '../../../src/modules/webhooks/decide.ts'
import type { Attempt } from '../../../src/modules/webhooks/types.ts'

const now = instant(1_780_000_000_000)
const answered = (status: number | null, at = now): Attempt => ({
  at,
  ms: 1,
  status,
  answer: '',
  error: status === null ? 'ECONNREFUSED' : null,
})
const hourMs = 3_600_000
const dayMs = 24 * hourMs

describe('an attempt', () => {
  it.each([200, 201, 204, 299])('answered %i has delivered it', (status) => {
    expect(verdictOf(answered(status), 1, { now, chance: 0 })).toEqual({ state: 'delivered' })
  })

  it.each([null, 100, 301, 307, 400, 401, 404, 429, 500, 503])('answered %s is made again', (status) => {
    expect(verdictOf(answered(status), 1, { now, chance: 0 })).toEqual({ state: 'waiting', nextAt: addMs(now, 5_000) })
  })

  it('answered 410 is the last', () => {
    expect(verdictOf(answered(410), 1, { now, chance: 0 })).toEqual({ state: 'dead', reason: 'endpoint_gone' })
  })

  it('is made ten times over three days, then the delivery is dead', () => {
    const pauses = retryPausesMs.map((_, index) => {
      const verdict = verdictOf(answered(500), index + 1, { now, chance: 0 })
      return verdict.state === 'waiting' ? verdict.nextAt - now : verdict
    })
    expect(pauses).toEqual([5_000, 300_000, 1_800_000, ...[2, 5, 10, 14, 20, 24].map((hours) => hours * hourMs)])
    expect(pauses.reduce((sum: number, pause) => sum + Number(pause), 0)).toBeGreaterThan(3 * dayMs)
    expect(verdictOf(answered(500), 10, { now, chance: 0 })).toEqual({ state: 'dead', reason: 'attempts_exhausted' })
  })

  it('waits up to a tenth longer by chance, never shorter', () => {
    const pauseOf = (chance: number) => {
      const verdict = verdictOf(answered(500), 4, { now, chance })
      return verdict.state === 'waiting' ? verdict.nextAt - now : 0
    }
    expect([pauseOf(0), pauseOf(0.5), pauseOf(1)]).toEqual([2 * hourMs, 2.1 * hourMs, Math.round(2.2 * hourMs)])
  })

  it('waits as long as the receiver asks, up to a day', () => {
    const pauseOf = (retryAfterMs: number) => {
      const verdict = verdictOf({ ...answered(429), retryAfterMs }, 1, { now, chance: 0 })
      return verdict.state === 'waiting' ? verdict.nextAt - now : 0
    }
    expect([pauseOf(1_000), pauseOf(60_000), pauseOf(90 * dayMs)]).toEqual([5_000, 60_000, dayMs])
  })
})

describe('an endpoint', () => {
  it('fails since its first failure after a success', () => {
    const later = addMs(now, 1_000)
    expect(endpointAfter([answered(200), answered(500), answered(500, later)], null, later)).toEqual({
      failingSince: now,
      disable: null,
    })
    expect(endpointAfter([answered(500, later)], now, later)).toEqual({ failingSince: now, disable: null })
    expect(endpointAfter([answered(500), answered(200)], addMs(now, -9 * dayMs), now)).toEqual({
      failingSince: null,
      disable: null,
    })
  })

  it('is disabled after five days of nothing but failure, and not a moment before', () => {
    const since = addMs(now, -5 * dayMs)
    expect(endpointAfter([answered(500)], since, now).disable).toBe('failing')
    expect(endpointAfter([answered(500)], addMs(since, 1), now).disable).toBeNull()
  })

  it('is disabled by a 410 whatever else was answered', () => {
    expect(endpointAfter([answered(410), answered(200)], null, now).disable).toBe('gone')
  })
})

describe('a type', () => {
  it.each(['*', 'order.*', 'order.placed', 'payment.capture_requested'])('may be written %s', (text) => {
    expect(isTypePattern(text)).toBe(true)
  })
  it.each([
    '',
    'order',
    'order.',
    '.placed',
    'Order.placed',
    'order.placed.x',
    '*.placed',
    'order.p*',
    ' order.placed',
  ])('is not written "%s"', (text) => {
    expect(isTypePattern(text)).toBe(false)
  })
})
