// The Ed25519 key by which a cell is known to the others: PKCS #8 in its file, the 32 bytes of its public half in base64url
// in the topology.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'

/** A new private key, as the PEM text of PKCS #8. */
export const newCellKey = (): string =>
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

/** PKCS #8, as PEM or as base64 of DER. Throws when it is neither, or another kind of key. */
export function cellKeyOf(text: string): KeyObject {
  const trimmed = text.trim()
  const key = trimmed.startsWith('-----')
    ? createPrivateKey(trimmed)
    : createPrivateKey({ key: Buffer.from(trimmed, 'base64'), format: 'der', type: 'pkcs8' })
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`the cell's key is ${key.asymmetricKeyType}, not ed25519`)
  return key
}

/** The private key in a file. */
export const readCellKey = async (path: string): Promise<KeyObject> => cellKeyOf(await readFile(path, 'utf8'))

/** What stands in the topology. */
export const publicKeyOf = (privateKey: KeyObject): string =>
  createPublicKey(privateKey as never).export({ format: 'jwk' }).x!

/** From what stands in the topology; undefined when that is no key. */
export function verifyingKey(publicKey: string): KeyObject | undefined {
  if (!/^[A-Za-z0-9_-]{43}$/.test(publicKey)) return undefined
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' })
  } catch {
    return undefined
  }
}
