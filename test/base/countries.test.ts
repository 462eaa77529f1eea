// The table of countries is complete, and its distances are near the real ones.
import { describe, expect, test } from 'vitest'
import { distanceKm, distanceUnknownKm, isCountry } from '../../src/base/countries.ts'

const nowhere = { lat: null, lon: null, country: null }
const letters = Array.from({ length: 26 }, (_, at) => String.fromCharCode(65 + at))

describe('countries', () => {
  test('knows the 249 codes of ISO 3166-1, in capitals only', () => {
    const known = letters.flatMap((first) => letters.map((second) => first + second)).filter(isCountry)
    expect(known).toHaveLength(249)
    // ICU names every code of the standard; it also names some that the standard does not have.
    const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
    expect(known.filter((code) => names.of(code) === undefined)).toEqual([])
    expect(['gb', 'XK', 'EU', 'UK', '', 'GBR', 'constructor'].filter(isCountry)).toEqual([])
  })

  test('measures the great circle from coordinates, else from the middle of the country', () => {
    expect(distanceKm({ ...nowhere, country: 'FR' }, 'FR')).toBe(0)
    expect(distanceKm({ lat: 46.6, lon: 2.5, country: 'JP' }, 'FR')).toBe(0)
    const londonToTheMiddleOfGermany = distanceKm({ lat: 51.507, lon: -0.128, country: 'GB' }, 'DE')
    expect(londonToTheMiddleOfGermany).toBeGreaterThan(700)
    expect(londonToTheMiddleOfGermany).toBeLessThan(760)
    const acrossTheDateLine = distanceKm({ ...nowhere, country: 'FJ' }, 'TO')
    expect(acrossTheDateLine).toBeLessThan(1_000)
  })

  test('puts what it does not know beyond everything it knows', () => {
    expect(distanceKm(nowhere, 'DE')).toBe(distanceUnknownKm)
    expect(distanceKm({ ...nowhere, lat: 51 }, 'DE')).toBe(distanceUnknownKm)
    expect(distanceKm({ ...nowhere, country: 'DE' }, 'XX')).toBe(distanceUnknownKm)
    expect(distanceUnknownKm).toBeGreaterThan(Math.PI * 6_371)
  })
})
