// Secrets: made, hashed for look-up, compared in constant time, and signed with. The signature is HMAC-SHA-256 (RFC 2104) from
// two one-shot hashes: half the cost of a Hmac object, and an order pays it once.
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { assert } from '../base/assert.ts'

const blockBytes = 64

/** Signs ASCII text of at most 64 characters; answers 43 characters of base64url. */
export type Signer = (text: string) => string

export function createSigner(secret: Uint8Array): Signer {
  assert(secret.length <= blockBytes, 'a longer secret would have to be hashed first')
  const inner = Buffer.alloc(2 * blockBytes, 0x36)
  const outer = Buffer.alloc(blockBytes + 32, 0x5c)
  for (let at = 0; at < blockBytes; at++) {
    inner[at] = 0x36 ^ (secret[at] ?? 0)
    outer[at] = 0x5c ^ (secret[at] ?? 0)
  }
  return (text) => {
    const written = inner.write(text, blockBytes, 'latin1')
    assert(written === text.length, 'the text is too long to be signed')
    outer.write(hash('sha256', inner.subarray(0, blockBytes + written)), blockBytes, 'hex')
    return hash('sha256', outer, 'base64url')
  }
}

/** Random bytes of the system, as text. */
export const newSecret = (bytes: number, encoding: 'hex' | 'base64url'): string => randomBytes(bytes).toString(encoding)

/** SHA-256 as hex: all that is stored of a secret that is only ever looked up. */
export const secretHash = (text: string): string => hash('sha256', text)

/** Whether two texts are equal, in a time that does not tell where they differ. */
export function isSameSecret(given: string, expected: string): boolean {
  const a = Buffer.from(given)
  const b = Buffer.from(expected)
  return a.length === b.length && timingSafeEqual(a, b)
}
