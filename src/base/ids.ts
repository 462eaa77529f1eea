// Ids: prefix, home cell, UUIDv7 (RFC 9562) in 26 Crockford base-32 characters, e.g. `ord_eu1_01k3…`.
// The text sorts as the UUID does, and anyone can read the home cell from it.
import type { Instant } from './time.ts'

export type Uuid = string & { readonly __brand: 'Uuid' }
export type ShopId = number & { readonly __brand: 'ShopId' }
export type CellName = string & { readonly __brand: 'CellName' }
export type Sku = string & { readonly __brand: 'Sku' }
export type LocationCode = string & { readonly __brand: 'LocationCode' }

export type IdPrefix = 'ord' | 'hld' | 'pay' | 'shp' | 'ret' | 'rfd' | 'whe' | 'whd'
export type WireId = { prefix: IdPrefix; cell: CellName; uuid: Uuid }

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
export const cellNamePattern = '^[a-z][a-z0-9]{1,15}$'
const cellPattern = new RegExp(cellNamePattern)
const wirePattern = /^([a-z]{3})_([a-z][a-z0-9]{1,15})_([0-7][0-9a-hjkmnp-tv-z]{25})$/

export const isCellName = (text: string): text is CellName => cellPattern.test(text)

/** A UUIDv7 of `now` with 74 bits taken from `random` (10 bytes; the first 6 bits of two of them are overwritten). */
export function uuidV7(now: Instant, random: Uint8Array): Uuid {
  const hex = (now as number).toString(16).padStart(12, '0')
  const version = byteHex[0x70 | (random[0]! & 0x0f)]! + byteHex[random[1]!]!
  const variant = byteHex[0x80 | (random[2]! & 0x3f)]! + byteHex[random[3]!]!
  let tail = ''
  for (let at = 4; at < 10; at++) tail += byteHex[random[at]!]
  return `${hex.slice(0, 8)}-${hex.slice(8)}-${version}-${variant}-${tail}` as Uuid
}

/** Milliseconds since 1970 in a UUIDv7. */
export const timeOfUuid = (uuid: Uuid): Instant => Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16) as Instant

export const toWireId = (prefix: IdPrefix, cell: CellName, uuid: Uuid): string => `${prefix}_${cell}_${toBase32(uuid)}`

/** Undefined when the text is no id of ours; a foreign prefix or cell is still an id. */
export function parseWireId(text: string): WireId | undefined {
  const match = wirePattern.exec(text)
  if (!match) return undefined
  return { prefix: match[1] as IdPrefix, cell: match[2] as CellName, uuid: fromBase32(match[3]!) }
}

const byteHex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Two characters for each ten bits. */
const pairs = Array.from({ length: 1024 }, (_, bits) => alphabet[bits >> 5]! + alphabet[bits & 31]!)

/** 128 bits behind two zero bits, as thirteen pairs of characters; an order's answer and each event need it. */
function toBase32(uuid: Uuid): string {
  const a = Number.parseInt(uuid.slice(0, 8), 16)
  const b = Number.parseInt(uuid.slice(9, 13) + uuid.slice(14, 18), 16)
  const c = Number.parseInt(uuid.slice(19, 23) + uuid.slice(24, 28), 16)
  const d = Number.parseInt(uuid.slice(28), 16)
  return (
    pairs[a >>> 24]! +
    pairs[(a >>> 14) & 1023]! +
    pairs[(a >>> 4) & 1023]! +
    pairs[((a & 15) << 6) | (b >>> 26)]! +
    pairs[(b >>> 16) & 1023]! +
    pairs[(b >>> 6) & 1023]! +
    pairs[((b & 63) << 4) | (c >>> 28)]! +
    pairs[(c >>> 18) & 1023]! +
    pairs[(c >>> 8) & 1023]! +
    pairs[((c & 255) << 2) | (d >>> 30)]! +
    pairs[(d >>> 20) & 1023]! +
    pairs[(d >>> 10) & 1023]! +
    pairs[d & 1023]!
  )
}

function fromBase32(text: string): Uuid {
  let hex = ''
  let bits = 0
  let held = -2
  for (const character of text) {
    bits = ((bits << 5) | alphabet.indexOf(character)) & 0x1ff
    held += 5
    while (held >= 4) {
      held -= 4
      hex += ((bits >> held) & 15).toString(16)
    }
  }
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Uuid
}
