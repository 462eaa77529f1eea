// Requests between cells: signed as the RFC's own example is, and refused as soon as anything about them is different.
import { createPrivateKey, sign, verify } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { addMs, type Instant, instant } from '../../src/base/time.ts'
import { rememberNonces } from '../../src/runtime/nonces.ts'
import { cellKeyOf, newCellKey, publicKeyOf, readCellKey, verifyingKey } from '../../src/runtime/peer-keys.ts'
import {
  contentDigest,
  createPeerVerifier,
  type PeerRequest,
  type ReceivedRequest,
  signatureBase,
  signedHeaders,
} from '../../src/runtime/peer-signature.ts'

const [eu1, us1, ap1] = ['eu1', 'us1', 'ap1'] as CellName[] as [CellName, CellName, CellName]
const now = instant(1_780_000_000_000)
const keys = { eu1: cellKeyOf(newCellKey()), us1: cellKeyOf(newCellKey()), ap1: cellKeyOf(newCellKey()) }
const body = Buffer.from('{"sku":"A-1","units":3}')
const headers = { 'content-type': 'application/json', 'idempotency-key': 'k', 'x-request-id': 'r-1' }
const request: PeerRequest = { method: 'POST', target: '/peer/v1/ask', from: us1, to: eu1, headers, body }

const verifierAt = (at: Instant = now, states: Record<string, string> = {}) =>
  createPeerVerifier({
    self: eu1,
    cells: () =>
      [eu1, us1, ap1].map((name) => ({
        name,
        publicKey: publicKeyOf(keys[name as keyof typeof keys]),
        state: states[name] ?? 'active',
      })),
    now: () => at,
  })

const received = (sent: PeerRequest = request, key = keys.us1, at: Instant = now): ReceivedRequest => ({
  method: sent.method,
  target: sent.target,
  headers: { ...sent.headers, ...signedHeaders(key, sent, at) },
})

const codeOf = (found: ReturnType<ReturnType<typeof verifierAt>['senderOf']>) => (found.ok ? 'taken' : found.code)

describe('the signature base', () => {
  // RFC 9421: the key of appendix B.1.4 and the request of B.2.6.
  const privateKey = createPrivateKey({
    key: {
      kty: 'OKP',
      crv: 'Ed25519',
      d: 'n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU',
      x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs',
    },
    format: 'jwk',
  })
  const base = signatureBase(
    [
      ['date', 'Tue, 20 Apr 2021 02:07:55 GMT'],
      ['@method', 'POST'],
      ['@path', '/foo'],
      ['@authority', 'example.com'],
      ['content-type', 'application/json'],
      ['content-length', '18'],
    ],
    ';created=1618884473;keyid="test-key-ed25519"',
  )
  const signature = 'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=='

  it('gives the signature of the example in RFC 9421, B.2.6', () => {
    expect(sign(null, Buffer.from(base), privateKey).toString('base64')).toBe(signature)
    const key = verifyingKey(publicKeyOf(privateKey))!
    expect(verify(null, Buffer.from(base), key, Buffer.from(signature, 'base64'))).toBe(true)
  })

  it('has the digest of a body as RFC 9530 writes it', () => {
    expect(contentDigest(Buffer.from('{"hello": "world"}\n'))).toBe(
      'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:',
    )
  })
})

describe('a key of a cell', () => {
  it('is read from a file, as PEM or as base64', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-keys-'))
    try {
      const pem = newCellKey()
      const der = pem.replace(/-----[^-]+-----|\s/g, '')
      await writeFile(join(folder, 'pem'), pem)
      await writeFile(join(folder, 'base64'), `${der}\n`)
      const found = await Promise.all(['pem', 'base64'].map((name) => readCellKey(join(folder, name))))
      expect(found.map(publicKeyOf)).toEqual(Array(2).fill(publicKeyOf(cellKeyOf(pem))))
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('that is none is told', () => {
    expect(() => cellKeyOf('nonsense')).toThrow()
    expect(verifyingKey('nonsense')).toBeUndefined()
  })
})

describe('a request of a peer', () => {
  it('is taken once, with the digest that its body must have', () => {
    const verifier = verifierAt()
    const first = received()
    expect(verifier.senderOf(first)).toMatchObject({ ok: true, value: { from: us1, digest: contentDigest(body) } })
    expect(codeOf(verifier.senderOf(first))).toBe('peer_replayed')
    expect(codeOf(verifier.senderOf(received()))).toBe('taken')
  })

  it('without a body has no digest, and none can be added', () => {
    const sent = received({ ...request, target: '/v1/orders?limit=3', body: null })
    const more = (added: object) => verifierAt().senderOf({ ...sent, headers: { ...sent.headers, ...added } })
    expect(more({})).toMatchObject({ ok: true, value: { digest: null } })
    expect(codeOf(more({ 'content-digest': contentDigest(body) }))).toBe('peer_signature_invalid')
  })

  it('is refused when a header that says what is asked is added or taken away, and of no other', () => {
    const withHeader = (name: string, value: string | undefined) => {
      const sent = received()
      return codeOf(verifierAt().senderOf({ ...sent, headers: { ...sent.headers, [name]: value } }))
    }
    for (const name of ['authorization', 'if-match', 'prefer', 'holdfast-visitor', 'holdfast-client-secret'])
      expect(withHeader(name, 'x')).toBe('peer_signature_invalid')
    for (const name of ['idempotency-key', 'content-type', 'content-digest'])
      expect(withHeader(name, undefined)).toBe('peer_signature_invalid')
    for (const name of ['traceparent', 'x-forwarded-for', 'user-agent']) expect(withHeader(name, 'x')).toBe('taken')
  })

  describe('of a release that covers something else', () => {
    /** As it would sign it: what it names, in its order. */
    const signedOver = (names: string[], added: Record<string, string> = {}): ReceivedRequest => {
      const sent = received()
      const all: Record<string, string> = { ...(sent.headers as Record<string, string>), ...added }
      const derived: Record<string, string> = { '@method': sent.method, '@path': sent.target, '@query': '?' }
      const input = all['signature-input']!
      const parameters = input.slice(input.indexOf(')') + 1)
      const components = names.map((name) => [name, derived[name] ?? all[name] ?? ''] as const)
      const signature = sign(null, Buffer.from(signatureBase(components, parameters), 'latin1'), keys.us1)
      const covered = `(${names.map((name) => `"${name}"`).join(' ')})`
      const signing = {
        'signature-input': `holdfast=${covered}${parameters}`,
        signature: `holdfast=:${signature.toString('base64')}:`,
      }
      return { ...sent, headers: { ...all, ...signing } }
    }
    const parties = ['holdfast-from', 'holdfast-to']
    const ours = ['@method', '@path', '@query', 'content-digest', 'content-type', 'idempotency-key', ...parties]
    const isTaken = (names: string[], added?: Record<string, string>) =>
      codeOf(verifierAt().senderOf(signedOver(names, added)))

    it('is taken with a header more, and in another order', () => {
      expect(isTaken([...ours, 'holdfast-later'], { 'holdfast-later': 'x' })).toBe('taken')
      expect(isTaken(ours.toReversed())).toBe('taken')
    })

    it('is refused without one of those that count here', () => {
      for (const left of ours) expect(isTaken(ours.filter((name) => name !== left))).toBe('peer_signature_invalid')
      expect(isTaken(ours, { prefer: 'wait=2' })).toBe('peer_signature_invalid')
    })

    it('is refused when it names what is not there, or one twice', () => {
      const wrong = ['holdfast-later', 'constructor', '@authority', 'content-type']
      for (const more of wrong) expect(isTaken([...ours, more])).toBe('peer_signature_invalid')
    })

    it('covers what it names: changed, added to or taken away it is refused', () => {
      const sent = signedOver([...ours, 'holdfast-later'], { 'holdfast-later': 'x' })
      for (const value of ['y', undefined]) {
        const changed = { ...sent, headers: { ...sent.headers, 'holdfast-later': value } }
        expect(codeOf(verifierAt().senderOf(changed))).toBe('peer_signature_invalid')
      }
    })
  })

  it.each([
    ['of a cell that nobody knows', 'peer_unknown', () => received({ ...request, from: 'xx1' as CellName })],
    ['that another cell signed', 'peer_signature_invalid', () => received(request, keys.ap1)],
    ['for another cell', 'peer_wrong_receiver', () => received({ ...request, to: ap1 })],
    ['without a signature', 'peer_signature_invalid', () => ({ ...received(), headers: {} })],
    ['signed too long ago', 'peer_clock_skewed', () => received(request, keys.us1, addMs(now, -61_000))],
    ['signed in the future', 'peer_clock_skewed', () => received(request, keys.us1, addMs(now, 62_000))],
  ])('%s is refused', (_, code, make) => {
    expect(codeOf(verifierAt().senderOf(make()))).toBe(code)
  })

  it('of a removed cell is refused, of a draining one taken', () => {
    expect(codeOf(verifierAt(now, { us1: 'removed' }).senderOf(received()))).toBe('peer_unknown')
    expect(codeOf(verifierAt(now, { us1: 'draining' }).senderOf(received()))).toBe('taken')
  })

  it('is refused when any bit of what was signed, or of its signature, is another', () => {
    const sent = received({ ...request, target: '/peer/v1/ask?a=1' })
    const fields = ['method', 'target', ...Object.keys(sent.headers).filter((name) => name !== 'x-request-id')]
    const verifier = verifierAt()
    fc.assert(
      fc.property(fc.constantFrom(...fields), fc.nat(), fc.nat(7), (field, at, bit) => {
        const flip = (text: string): string => {
          const bytes = Buffer.from(text, 'latin1')
          bytes[at % bytes.length]! ^= 1 << bit
          return bytes.toString('latin1')
        }
        const changed =
          field === 'method' || field === 'target'
            ? { ...sent, [field]: flip(sent[field]) }
            : { ...sent, headers: { ...sent.headers, [field]: flip(sent.headers[field] as string) } }
        expect(codeOf(verifier.senderOf(changed))).not.toBe('taken')
      }),
      { numRuns: 3_000 },
    )
    expect(codeOf(verifier.senderOf(sent))).toBe('taken')
  })
})

describe('nonces', () => {
  const second = now / 1000

  it('are forgotten only when they are too old to be taken', () => {
    const nonces = rememberNonces()
    expect(nonces.isNew('a', second, second)).toBe(true)
    const later = second + limits.peerSkewSecondsMax
    nonces.isNew('b', later, later)
    expect(nonces.isNew('a', second, later)).toBe(false)
    nonces.isNew('c', later + 1, later + 1)
    expect(nonces.isNew('a', second, later + 1)).toBe(false)
  })

  it('are few: of too many the oldest go, and what is as old is refused', () => {
    const nonces = rememberNonces(3)
    for (const at of [0, 1, 2]) expect(nonces.isNew(`n${at}`, second + at, second + 2)).toBe(true)
    expect(nonces.isNew('n3', second + 2, second + 2)).toBe(true)
    expect(nonces.isNew('n0', second, second + 2)).toBe(false)
    expect(nonces.isNew('another', second, second + 2)).toBe(false)
    expect(nonces.isNew('n2', second + 2, second + 2)).toBe(false)
    expect(nonces.isNew('n4', second + 2, second + 2)).toBe(true)
  })

  it('of one second that has too many are all refused', () => {
    const nonces = rememberNonces(2)
    for (const name of ['a', 'b']) nonces.isNew(name, second, second)
    expect(nonces.isNew('c', second, second)).toBe(false)
    expect(nonces.isNew('d', second + 1, second + 1)).toBe(true)
  })
})
