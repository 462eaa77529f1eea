// Instants: RFC 3339 there and back, and no date that the calendar does not have.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addMs, instant, instantMax, laterOf, parseRfc3339, toRfc3339 } from '../../src/base/time.ts'

const anyInstant = fc.integer({ min: Date.UTC(0, 0, 1), max: instantMax }).map(instant)

test('what is written is read again', () => {
  fc.assert(
    fc.property(anyInstant, (at) => {
      expect(parseRfc3339(toRfc3339(at))).toBe(at)
    }),
  )
})

test('an offset names the same instant', () => {
  const at = parseRfc3339('2026-03-01T00:30:00Z')
  expect(parseRfc3339('2026-03-01T02:30:00+02:00')).toBe(at)
  expect(parseRfc3339('2026-02-28T19:30:00-05:00')).toBe(at)
  expect(parseRfc3339('2026-03-01t00:30:00.000z')).toBe(at)
})

test('every day of four years, real or not, is what the calendar says', () => {
  for (let year = 2023; year <= 2026; year++) {
    for (let month = 1; month <= 12; month++) {
      for (let day = 0; day <= 32; day++) {
        const text = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}T12:00:00Z`
        const date = new Date(Date.UTC(year, month - 1, day, 12))
        const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day
        expect(parseRfc3339(text), text).toBe(isReal ? date.getTime() : undefined)
      }
    }
  }
})

test.each([
  '',
  '2026',
  '2026-01-01',
  '2026-01-01T00:00:00', // no zone: whose time?
  '2026-01-01 00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-01-01T25:00:00Z',
  '2026-01-01T00:61:00Z',
  '+02026-01-01T00:00:00Z',
  '2026-01-01T00:00:00+2:00',
])('%j is no instant', (text) => {
  expect(parseRfc3339(text)).toBeUndefined()
})

test('later and sum', () => {
  fc.assert(
    fc.property(anyInstant, fc.nat(1_000_000), (at, ms) => {
      expect(addMs(at, ms) - at).toBe(ms)
      expect(laterOf(at, addMs(at, ms))).toBe(addMs(at, ms))
      expect(laterOf(addMs(at, ms), at)).toBe(addMs(at, ms))
    }),
  )
})
