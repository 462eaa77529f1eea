// The body of a forwarded request: read whole before it is sent on, as bytes that nobody understands here, so that the signature
// covers its digest; and compared with that digest where it arrives, before anybody acts on it.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { pipeline, type Readable, Transform } from 'node:stream'
import { limits } from '../base/limits.ts'
import { type Refused, refused } from '../base/result.ts'
import { RefusedRequest } from '../runtime/http.ts'
import { contentDigest, digesting } from '../runtime/peer-signature.ts'

export const hasBody = (headers: IncomingHttpHeaders): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

const notAsSigned = (): Refused => refused('peer_signature_invalid', 'The body is not the one that was signed.')

/**
 * Null: there is none. `digest` is what it must be, if a peer has signed it. Rejects when the caller leaves in the middle. Refused:
 * `body_too_large`, `peer_signature_invalid`.
 */
export async function wholeBody(raw: IncomingMessage, digest: string | null): Promise<Buffer | Refused | null> {
  if (!hasBody(raw.headers)) return null
  if (Number(raw.headers['content-length'] ?? 0) > limits.bodyBytesMax) return refused('body_too_large')
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > limits.bodyBytesMax) {
      raw.resume() // the caller may be answered only while he writes
      return refused('body_too_large')
    }
    parts.push(part)
  }
  const body = Buffer.concat(parts)
  if (digest !== null && contentDigest(body) !== digest) return notAsSigned()
  return bytes === 0 ? null : body
}

/** The same bytes; it fails at their end when they are others than were signed. */
export function comparedBody(payload: Readable, digest: string): Readable {
  const { update, ended } = digesting()
  const compared = new Transform({
    transform(chunk: Buffer, _, done) {
      update(chunk)
      done(null, chunk)
    },
    flush: (done) => done(ended() === digest ? null : new RefusedRequest(notAsSigned())),
  })
  pipeline(payload, compared, () => {}) // whoever reads it is told
  return compared
}
