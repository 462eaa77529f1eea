// Requests between cells are signed as RFC 9421 prescribes (HTTP message signatures) with the sender's Ed25519 key, over method,
// path, query, sender, receiver, the body's digest (RFC 9530), every header that says who asks for what, the time and a nonce.
// Nonces are remembered by the process, so that a request may come twice after a restart: what it does bears that.
import { createHash, hash, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
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
  headers: Readonly<Record<string, string | string[] | undefined>>
}

/**
 * Covered where they are there, so that none can be changed, added or taken away. `traceparent` is not among them: proxies that
 * trace change it, and it changes nothing of what is done. Others may be covered besides, as by a release that knows more of them. A
 * header that clients send already is signed by one release before the next demands it.
 */
const coveredHeaders = [
  'authorization',
  'content-digest',
  'content-encoding',
  'content-type',
  'holdfast-client-secret',
  'holdfast-hops',
  'holdfast-life',
  'holdfast-placed-here',
  'holdfast-visitor',
  'idempotency-key',
  'if-match',
  'if-none-match',
  'last-event-id',
  'prefer',
] as const

function componentsOf({ method, target, from, to, headers }: Signed): Components {
  const query = target.indexOf('?')
  return [
    ['@method', method],
    ['@path', query < 0 ? target : target.slice(0, query)],
    ['@query', query < 0 ? '?' : target.slice(query)],
    ...coveredHeaders.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])] as const])),
    ['holdfast-from', from],
    ['holdfast-to', to],
  ]
}

/** `sha-256=:…:` of a whole body (RFC 9530). */
export const contentDigest = (body: Uint8Array): string => digestText(hash('sha256', body, 'base64'))

const digestText = (sha256: string): string => `sha-256=:${sha256}:`

/** The same of a body that comes in pieces. */
export function digesting(): { update(piece: Uint8Array): void; ended(): string } {
  const sha256 = createHash('sha256')
  return { update: (piece) => void sha256.update(piece), ended: () => digestText(sha256.digest('base64')) }
}

export type PeerRequest = {
  method: string
  target: string
  from: CellName
  to: CellName
  /** All that it will have, in lower case, but those that are answered. */
  headers: Headers
  body: Uint8Array | null
}

/** The headers that make a request one of this cell, besides its own. */
export function signedHeaders(key: KeyObject, { body, ...request }: PeerRequest, now: Instant): Headers {
  const digest = body && contentDigest(body)
  const headers = { ...request.headers, ...(digest === null ? {} : { 'content-digest': digest }) }
  const components = componentsOf({ ...request, headers })
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

/** Both ends are ours, so that there is one way to write it, but for what is covered, and in which order. */
const inputPattern =
  /^holdfast=\(("[a-z0-9@-]+"(?: "[a-z0-9@-]+")*)\)(;created=(\d{1,12});nonce="([A-Za-z0-9_-]{16})";keyid="([a-z0-9]+)";tag="holdfast-peer")$/
const signaturePattern = /^holdfast=:([A-Za-z0-9+/]{86}==):$/

export type ReceivedRequest = {
  method: string
  target: string
  headers: Readonly<Record<string, string | string[] | undefined>>
}

/** `digest` is what the content-digest of the body must be; null when it has none. */
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
      const { signed, components, created, nonce, parameters, signature } = found
      const sender = cells().find(({ name, state }) => name === signed.from && state !== 'removed')
      if (!sender) return refused('peer_unknown')
      if (signed.to !== self) return refused('peer_wrong_receiver')
      const second = Math.floor(now() / 1000)
      if (Math.abs(second - created) > limits.peerSkewSecondsMax) {
        return refused('peer_clock_skewed', `It was signed ${second - created} s before the clock here.`)
      }
      const key = keyOf(sender.publicKey)
      const base = Buffer.from(signatureBase(components, parameters), 'latin1')
      if (!key || !verify(null, base, key, signature)) return refused('peer_signature_invalid')
      if (!nonces.isNew(`${signed.from} ${nonce}`, created, second)) return refused('peer_replayed')
      const digest = signed.headers['content-digest']
      return accepted({ from: sender.name, digest: digest === undefined ? null : String(digest) })
    },
  }
}

type Found = {
  signed: Signed
  components: Components
  created: number
  nonce: string
  parameters: string
  signature: Buffer
}

/** What the headers say, if they cover all that they must. */
function signatureOf({ method, target, headers }: ReceivedRequest): Found | undefined {
  const text = (name: string): string => (typeof headers[name] === 'string' ? headers[name] : '')
  const [, covered, parameters, created, nonce, keyId] = inputPattern.exec(text('signature-input')) ?? []
  const [, encoded] = signaturePattern.exec(text('signature')) ?? []
  const from = text('holdfast-from')
  if (!covered || !parameters || !nonce || !encoded || keyId !== from || !isCellName(from)) return undefined
  const signature = Buffer.from(encoded, 'base64')
  if (signature.toString('base64') !== encoded) return undefined // other bits at its end say the same bytes
  const signed: Signed = { method, target, from, to: text('holdfast-to'), headers }
  const components = componentsNamed(covered.slice(1, -1).split('" "'), signed)
  return components && { signed, components, created: Number(created), nonce, parameters, signature }
}

/** Undefined unless each of `names` is there, once, and all are among them that this release demands. */
function componentsNamed(names: readonly string[], signed: Signed): Components | undefined {
  const demanded = new Map(componentsOf(signed))
  const named = new Map(names.map((name) => [name, demanded.get(name) ?? headerOf(signed, name)]))
  if (named.size !== names.length || ![...demanded.keys()].every((name) => named.has(name))) return undefined
  const components = [...named].flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  return components.length === names.length ? components : undefined
}

const headerOf = ({ headers }: Signed, name: string): string | undefined =>
  Object.hasOwn(headers, name) && headers[name] !== undefined ? String(headers[name]) : undefined
