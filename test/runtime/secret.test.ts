// Our HMAC is the standard one.
import { createHmac, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createSigner, isSameSecret } from '../../src/runtime/secret.ts'

it('signs as HMAC-SHA-256 does, whatever was signed before', () => {
  const secret = randomBytes(32)
  const sign = createSigner(secret)
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 64 }), (text) => {
      expect(sign(text)).toBe(createHmac('sha256', secret).update(text, 'latin1').digest('base64url'))
    }),
  )
})

it('refuses text that would not fit, rather than signing a part of it', () => {
  expect(() => createSigner(randomBytes(32))('x'.repeat(65))).toThrow('too long')
})

it('tells equal secrets from others', () => {
  expect(isSameSecret('abc', 'abc')).toBe(true)
  expect(isSameSecret('abc', 'abd')).toBe(false)
  expect(isSameSecret('', 'abc')).toBe(false)
  expect(isSameSecret('äbc', 'abc')).toBe(false)
})
