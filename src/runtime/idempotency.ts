// Idempotency keys as requests carry them. Two requests are the same when method, path and canonical body are; only
// SHA-256 prefixes (16 bytes, as 32 hex characters) go further, so that no key stands in a table or a log.
import { hash } from 'node:crypto'
import type { Uuid } from '../base/ids.ts'
import { canonicalJson, type Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { type Refused, refused } from '../base/result.ts'

/** As the engine takes it. */
export type KeyHashes = { hash: string; request: string }

const visibleAscii = /^[!-~]+$/

/** `visitor` is null for callers who do not share their keys with strangers. Pointers and all are the caller's to add. */
export function keyText(key: unknown, visitor: string | null): string | Refused {
  if (key === undefined || key === '') return refused('idempotency_key_required')
  if (typeof key !== 'string' || key.length > limits.idempotencyKeyCharactersMax || !visibleAscii.test(key))
    return refused('idempotency_key_invalid')
  return visitor === null ? key : `${visitor}\n${key}`
}

/** The visitor of a storefront caller: 16–64 visible ASCII characters. */
export function visitorText(header: unknown): string | Refused {
  if (typeof header !== 'string' || header.length < 16 || header.length > 64 || !visibleAscii.test(header))
    return refused('visitor_required')
  return header
}

/** An id that is the same for the same text, such as somebody else's name of a thing. */
export const uuidOfText = (text: string): Uuid =>
  hash('sha256', text).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5') as Uuid

export const keyHashOf = (key: string): string => hash('sha256', key).slice(0, 32)

/** `target` is method and path, e.g. `POST /v1/orders`. */
export const keyHashes = (key: string, target: string, body: Json): KeyHashes => ({
  hash: keyHashOf(key),
  request: hash('sha256', `${target}\n${canonicalJson(body)}`).slice(0, 32),
})
