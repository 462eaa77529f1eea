// The arithmetic of the promise line.
import { describe, expect, test } from 'vitest'
import { type AuditSums, type CellAudit, promiseLine } from './promise-line.ts'

const audit = (sums: Partial<AuditSums>, rest: Partial<CellAudit> = {}): CellAudit => ({
  consistent: true,
  checked_at: '2026-11-23T21:00:00.000Z',
  differences: 0,
  oversold: 0,
  lost: 0,
  doubled: 0,
  ...rest,
  sums: { received: 0, returned: 0, corrections: 0, transferred: 0, on_hand: 0, committed: 0, shipped: 0, ...sums },
})

describe('the promise line', () => {
  test('adds up over cells: what came in is on hand, in flight or shipped', () => {
    const line = promiseLine([
      { cell: 'eu1', audit: audit({ received: 100, transferred: -60, on_hand: 35, shipped: 5 }) },
      { cell: 'us1', audit: audit({ returned: 2, corrections: -1, transferred: 50, on_hand: 51 }) },
    ])
    expect(line).toMatchObject({ received: 100, returned: 2, corrections: -1, onHand: 86, inFlight: 10, shipped: 5 })
    expect(line).toMatchObject({ holds: true, missing: [] })
  })

  test('does not hold when a unit is nowhere', () => {
    expect(promiseLine([{ cell: 'eu1', audit: audit({ received: 100, on_hand: 99 }) }])?.holds).toBe(false)
  })

  test.each(['oversold', 'lost', 'doubled', 'differences'] as const)('does not hold when an audit says %s', (what) => {
    const line = promiseLine([{ cell: 'eu1', audit: audit({ received: 1, on_hand: 1 }, { [what]: 1 }) }])
    expect(line?.holds).toBe(false)
    expect(line?.[what]).toBe(1)
  })

  test('does not hold when an audit says that it is not consistent', () => {
    expect(promiseLine([{ cell: 'eu1', audit: audit({}, { consistent: false }) }])?.holds).toBe(false)
  })

  test('names the cells whose audit is not known, and tells the times of the oldest and the newest', () => {
    const line = promiseLine([
      { cell: 'eu1', audit: audit({}, { checked_at: '2026-11-23T21:00:20.000Z' }) },
      { cell: 'us1', audit: audit({}) },
      { cell: 'ap1', audit: null },
    ])
    expect(line?.missing).toEqual(['ap1'])
    expect(line!.newest - line!.oldest).toBe(20_000)
  })

  test('is not there before any cell has told of an audit', () => {
    expect(promiseLine([{ cell: 'eu1', audit: null }])).toBe(null)
  })
})
