// Requests between cells are signed as RFC 9421 prescribes (HTTP message signatures) with the sender's Ed25519 key, over method,
// path, query, sender, receiver, the body's digest (RFC 9530), the time and a nonce. A forwarded request of a client streams
// its body, so its digest is not known when it begins: it is signed without, and only paths below /v1/ are taken so.
// Nonces are remembered by the process, so that a request may come twice after a restart: what it does bears that.
import { hash, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { type CellName, isCellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { accepted, type Outcome, refused } from '../base/result.ts'
import type { Instant } from '../base/time.ts'
import type { Headers } from './http.ts'
import { type Nonces, rememberNonces } from './nonces.ts'
import { verifyingKey } from './peer-keys.ts'

type Components = readonly (readonly [name: string, value: string])[]

/** The text that is signed (RFC 9421, section 2.5). `parameters` begins with a semicolon. */
export function signatureBase(components: Components, parameters: string): string {
  const lines = components.map(([name, value]) => `"${name}": ${value}`)
  return [...lines, `"@signature-params": ${coveredIn(components)}${parameters}`].join('\n')
}

const coveredIn = (components: Components): string => `(${components.map(([name]) => `"${name}"`).join(' ')})`

type Signed = {
  method: string
  /** Path and query, as they stand in the request line. */
  target: string
  from: string
  to: string
  /** The value of content-digest; null for a body that streams. */
  digest: string | null
}

function componentsOf({ method, target, from, to, digest }: Signed): Components {
  const query = target.indexOf('?')
  return [
    ['@method', method],
    ['@path', query < 0 ? target : target.slice(0, query)],
    ['@query', query < 0 ? '?' : target.slice(query)],
    ...(digest === null ? [] : [['content-digest', digest] as const]),
    ['holdfast-from', from],
    ['holdfast-to', to],
  ]
}

/** `sha-256=:…:` of a whole body (RFC 9530). */
export const contentDigest = (body: Uint8Array): string => `sha-256=:${hash('sha256', body, 'base64')}:`

export type PeerRequest = {
  method: string
  target: string
  from: CellName
  to: CellName
  /** Null: a stream, or none. */
  body: Uint8Array | null
}

/** The headers that make a request one of this cell. */
export function signedHeaders(key: KeyObject, { body, ...request }: PeerRequest, now: Instant): Headers {
  const digest = body && contentDigest(body)
  const components = componentsOf({ ...request, digest })
  const nonce = randomBytes(12).toString('base64url')
  const parameters = `;created=${Math.floor(now / 1000)};nonce="${nonce}";keyid="${request.from}";tag="holdfast-peer"`
  const signature = sign(null, Buffer.from(signatureBase(components, parameters), 'latin1'), key)
  return {
    'holdfast-from': request.from,
    'holdfast-to': request.to,
    ...(digest === null ? {} : { 'content-digest': digest }),
    'signature-input': `holdfast=${coveredIn(components)}${parameters}`,
    signature: `holdfast=:${signature.toString('base64')}:`,
  }
}

/** Both ends are ours, so that there is one way to write it. */
const inputPattern =
  /^holdfast=(\([^()]*\))(;created=(\d{1,12});nonce="([A-Za-z0-9_-]{16})";keyid="([a-z0-9]+)";tag="holdfast-peer")$/
const signaturePattern = /^holdfast=:([A-Za-z0-9+/]{86}==):$/

export type ReceivedRequest = {
  method: string
  target: string
  headers: Readonly<Record<string, string | string[] | undefined>>
}

/** `digest` is what the content-digest of the body must be; null when the body streams. */
export type PeerSender = { from: CellName; digest: string | null }

export type PeerVerifier = {
  /**
   * Who has sent it, by its headers alone, so that it can be asked before the body is read. Refused: `peer_unknown`,
   * `peer_wrong_receiver`, `peer_signature_invalid`, `peer_clock_skewed`, `peer_replayed`.
   */
  senderOf(request: ReceivedRequest): Outcome<PeerSender>
}

export type PeerVerifierOptions = {
  self: CellName
  /** All that may send; asked each time. */
  cells(): readonly { name: CellName; publicKey: string; state: string }[]
  now(): Instant
  nonces?: Nonces
}

export function createPeerVerifier(options: PeerVerifierOptions): PeerVerifier {
  const { self, cells, now, nonces = rememberNonces() } = options
  const keys = new Map<string, KeyObject | undefined>()

  function keyOf(publicKey: string): KeyObject | undefined {
    if (keys.has(publicKey)) return keys.get(publicKey)
    if (keys.size >= limits.peerKeysRememberedMax) keys.clear()
    const key = verifyingKey(publicKey)
    keys.set(publicKey, key)
    return key
  }

  return {
    senderOf(request) {
      const found = signatureOf(request)
      if (!found)
        return refused('peer_signature_invalid', 'The headers of a peer’s signature are missing or malformed.')
      const { signed, created, nonce, parameters, signature } = found
      const sender = cells().find(({ name, state }) => name === signed.from && state !== 'removed')
      if (!sender) return refused('peer_unknown')
      if (signed.to !== self) return refused('peer_wrong_receiver')
      const second = Math.floor(now() / 1000)
      if (Math.abs(second - created) > limits.peerSkewSecondsMax) {
        return refused('peer_clock_skewed', `It was signed ${second - created} s before the clock here.`)
      }
      const key = keyOf(sender.publicKey)
      const base = Buffer.from(signatureBase(componentsOf(signed), parameters), 'latin1')
      if (!key || !verify(null, base, key, signature)) return refused('peer_signature_invalid')
      if (!nonces.isNew(`${signed.from} ${nonce}`, created, second)) return refused('peer_replayed')
      return accepted({ from: sender.name, digest: signed.digest })
    },
  }
}

type Found = { signed: Signed; created: number; nonce: string; parameters: string; signature: Buffer }

/** What the headers say, if they cover all that they must. */
function signatureOf({ method, target, headers }: ReceivedRequest): Found | undefined {
  const text = (name: string): string => (typeof headers[name] === 'string' ? headers[name] : '')
  const [, covered, parameters, created, nonce, keyId] = inputPattern.exec(text('signature-input')) ?? []
  const [, encoded] = signaturePattern.exec(text('signature')) ?? []
  const from = text('holdfast-from')
  if (!covered || !parameters || !nonce || !encoded || keyId !== from || !isCellName(from)) return undefined
  const signature = Buffer.from(encoded, 'base64')
  if (signature.toString('base64') !== encoded) return undefined // other bits at its end say the same bytes
  const isForwarded = target.startsWith('/v1/')
  const signed: Signed = {
    method,
    target,
    from,
    to: text('holdfast-to'),
    digest: isForwarded ? null : text('content-digest'),
  }
  if (covered !== coveredIn(componentsOf(signed))) return undefined
  return { signed, created: Number(created), nonce, parameters, signature }
}
