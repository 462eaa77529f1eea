// Strict JSON and its canonical form.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, type Json, parseJson, pointerToken } from '../../src/base/json.ts'

const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<Json>

describe('parseJson', () => {
  it('takes whatever JSON.stringify writes, and answers what JSON.parse does', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = JSON.stringify(value, null, 1)
        const parsed = parseJson(text)
        if (!text.includes('\\u')) expect(parsed).toEqual({ ok: true, value: JSON.parse(text) })
      }),
    )
  })

  it('agrees with JSON.parse on what is JSON at all', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\ au01e-.ntrfls'), maxLength: 12 }), (text) => {
        let isJson = true
        try {
          JSON.parse(text)
        } catch {
          isJson = false
        }
        const parsed = parseJson(text)
        if (!isJson) expect(parsed).toEqual({ ok: false, fault: { code: 'syntax' } })
        else if (!parsed.ok) expect(['duplicate_member', 'text']).toContain(parsed.fault.code)
      }),
      { numRuns: 5_000 },
    )
  })

  it.each([
    ['{"a":1,"a":1}', 'duplicate_member'],
    ['[{"b":{"a":1,"\\u0061":2}}]', 'duplicate_member'],
    ['{"a:\\"{":1,"a:\\"{":2}', 'duplicate_member'],
    ['{"__proto__":1,"__proto__":2}', 'duplicate_member'],
    [`${'['.repeat(17)}${']'.repeat(17)}`, 'too_deep'],
    ['['.repeat(1_000_000), 'too_deep'],
    ['{"a":', 'syntax'],
    ['', 'syntax'],
    ['"a', 'syntax'],
    ['"\\', 'syntax'],
    ["{'a':1}", 'syntax'],
    ['\ufeff{}', 'syntax'],
  ])('refuses %j', (text, code) => {
    expect(parseJson(text)).toEqual({ ok: false, fault: { code } })
  })

  it.each([
    ['{"a":{"b":["x","\\u0000"]}}', '/a/b/1'],
    ['{"a/b":"\\ud800"}', '/a~1b'],
    ['{"\\udfff":1}', ''],
    ['"\\ud83d\\ud83d\\ude00"', ''],
  ])('points to the text in %j that PostgreSQL could not hold', (text, pointer) => {
    expect(parseJson(text)).toEqual({ ok: false, fault: { code: 'text', pointer } })
  })

  it('takes a whole surrogate pair', () => {
    expect(parseJson('"\\ud83d\\ude00"')).toEqual({ ok: true, value: '😀' })
  })
})

describe('canonicalJson', () => {
  /** The same value with its members in another order. */
  const shuffled = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(shuffled)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([name, inner]) => [name, shuffled(inner)]),
    )
  }

  it('is JSON of the same value', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('does not depend on the order of members', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(canonicalJson(shuffled(value))).toBe(canonicalJson(value))
      }),
    )
  })

  it('differs for values that differ', () => {
    fc.assert(
      fc.property(json, json, (a, b) => {
        const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
        expect(canonicalJson(a) === canonicalJson(b)).toBe(same)
      }),
    )
  })

  const sorted = (value: Json): unknown => {
    if (Array.isArray(value)) return ['array', ...value.map(sorted)]
    if (typeof value !== 'object' || value === null) return value
    return [
      'object',
      ...Object.keys(value)
        .sort()
        .map((name) => [name, sorted(value[name]!)]),
    ]
  }

  it.each([
    [{ b: 1, a: [true, null, -0, 1e21, 'ä"\n'] }, '{"a":[true,null,0,1e+21,"ä\\"\\n"],"b":1}'],
    [{ 10: 1, 9: 2 }, '{"10":1,"9":2}'],
  ])('of %j', (value, text) => {
    expect(canonicalJson(value as Json)).toBe(text)
  })

  it('sorts many members as it sorts few', () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, nth) => [`k${(nth * 37) % 50}`, nth]))
    expect(Object.keys(JSON.parse(canonicalJson(many)))).toEqual(Object.keys(many).sort())
  })
})

it('pointerToken escapes what a pointer gives a meaning to', () => {
  expect(pointerToken('a/b~c')).toBe('a~1b~0c')
})
