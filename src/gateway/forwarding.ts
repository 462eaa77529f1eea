// Requests that belong to another cell: sent there before their body is understood, and answered with what that cell answers,
// untouched. The home looks at the caller's key itself. What cells say to each other about a request counts only
// under a peer's signature, so that no caller can pretend to be one, and no request goes round for ever.
import type { KeyObject } from 'node:crypto'
import type { FastifyReply, FastifyRequest, onRequestHookHandler, preParsingHookHandler } from 'fastify'
import { Agent } from 'undici'
import { present } from '../base/assert.ts'
import type { CellName, ShopId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type Refused, refused } from '../base/result.ts'
import { cellNamed, type Topology } from '../base/topology.ts'
import type { Keys } from '../modules/shops/service.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Elsewhere } from '../runtime/elsewhere.ts'
import type { Faults } from '../runtime/faults.ts'
import { carry, type Errand, fetchText, type Sink } from '../runtime/forward.ts'
import { answerTo, sendRefused } from '../runtime/http.ts'
import { problemLine } from '../runtime/http-lines.ts'
import { keyHashOf, keyText, visitorText } from '../runtime/idempotency.ts'
import { type PeerVerifier, signedHeaders } from '../runtime/peer-signature.ts'
import { traceparentOf } from '../runtime/request-trace.ts'
import { type Span, within } from '../runtime/tracing.ts'
import type { EventsElsewhere } from './events-of-all.ts'
import { comparedBody, hasBody, wholeBody } from './forwarded-body.ts'
import { deadlineOf, hopsHeader, passedBack, passedOn, placedHereHeader } from './forwarded-headers.ts'
import { cutOff } from './peers.ts'
import {
  activeIn,
  homeOfOrder,
  nameInKey,
  type Owners,
  ownersAfter,
  type Route,
  routeOf,
  toPlace,
  type View,
} from './route.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** How often cells have forwarded it; 0 from a client. */
    hops: number
    /** A peer has decided that it is placed here. */
    isPlacedHere: boolean
    /** The digest under the signature of the peer that forwarded it; null where there is no body, or no peer. */
    signedDigest: string | null
  }
}

export type Routing = {
  topology: { current(): Topology; onChange(listener: () => void): () => void }
  peers: { others(): readonly CellName[]; isUp(cell: CellName): boolean }
  /** This cell's own, that the others know it by. */
  privateKey: KeyObject
  verifier: Pick<PeerVerifier, 'senderOf'>
  /** False while this cell may not sell, as when it is frozen. */
  takesNew(): boolean
  /** For development: what a round trip to another cell takes longer than the network here does. */
  latencyMs?: number
  /** For development. */
  faults?: Pick<Faults, 'cutOff'> | undefined
}

export type ForwardingOptions = Routing & {
  cell: CellName
  keys: Pick<Keys, 'known' | 'find'>
  /** What a command with this key has made: here, or where another cell has taken it. */
  findKey(shopId: ShopId, keyHash: string): Promise<{ takenBy: CellName | null } | undefined>
  clock: Pick<Clock, 'now' | 'elapsedMs' | 'sleep'>
  /** A request goes to another cell. */
  onSent(cell: CellName): void
}

export type Forwarding = {
  onRequest: onRequestHookHandler
  preParsing: preParsingHookHandler
  elsewhere: Elsewhere
  events: EventsElsewhere
  stop(): Promise<void>
}

export function createForwarding(options: ForwardingOptions): Forwarding {
  const { cell: self, topology, peers, privateKey, verifier, keys, clock, latencyMs = 0, faults } = options
  const whole = new Agent({ ...agentOptions })
  const lines = new Agent({ ...agentOptions, connections: limits.forwardLinesAtOnceMax })
  const inFlight = new Map<CellName, number>()
  let owners: Owners = { names: activeIn(self, topology.current()), otherSince: null }
  const settle = (isChanged: boolean) => {
    const active = activeIn(self, topology.current())
    owners = ownersAfter(owners, active, { now: clock.now(), settleMs: limits.keyOwnersSettleMs, isChanged })
  }
  const stopListening = topology.onChange(() => settle(true))

  /** Those out of reach last: one of them is better than none. */
  function nearest(): CellName[] {
    const open = peers.others().filter((name) => cellNamed(topology.current(), name)?.state === 'active')
    return [...open.filter((name) => peers.isUp(name)), ...open.filter((name) => !peers.isUp(name))]
  }

  function view(): View {
    if (owners.otherSince !== null) settle(false)
    return { topology: topology.current(), self, owners: owners.names, nearest, takesNew: options.takesNew() }
  }

  /**
   * Where the caller's key has made something before, looked up as the engine would; undefined where nowhere that is known here.
   * What the guard or the route refuses is theirs to refuse.
   */
  async function knownAt(request: FastifyRequest, key: unknown): Promise<CellName | undefined> {
    const header = request.headers.authorization
    if (header === undefined) return self
    const known = keys.known(header)
    const principal = known === undefined ? await keys.find(header) : known
    if (!principal) return self
    const visitor = principal.kind === 'sk' ? null : visitorText(request.headers['holdfast-visitor'])
    if (visitor !== null && typeof visitor !== 'string') return self
    const text = keyText(key, visitor)
    if (typeof text !== 'string') return self
    const row = await options.findKey(principal.shopId, keyHashOf(text))
    return row && (row.takenBy ?? self)
  }

  function whyNotSent(request: FastifyRequest, cell: CellName): Refused | null {
    if (request.hops >= limits.hopsMax) return refused('too_many_hops')
    const { state } = present(cellNamed(topology.current(), cell), `the cell ${cell}`)
    if (state === 'removed') return refused('cell_removed', `The cell ${cell} has left.`)
    if (faults?.cutOff || !peers.isUp(cell)) return unreachable(cell, false)
    return (inFlight.get(cell) ?? 0) >= limits.forwardsInFlightMax ? refused('overloaded') : null
  }

  /** `own`: the request's body, when it is not one of ours that is sent. */
  function errandOf(request: FastifyRequest, cell: CellName, what: What, own: Buffer | null = null): Errand {
    const { method = request.method, path = request.url, json, isPlacedThere } = what
    const headers: Record<string, string> = {
      ...passedOn(request.headers, { isOurs: json !== undefined }),
      traceparent: what.span?.traceparent ?? traceparentOf(request),
      [hopsHeader]: String(request.hops + 1),
      ...(isPlacedThere ? { [placedHereHeader]: 'true' } : {}),
      ...what.headers,
    }
    const { url } = present(cellNamed(topology.current(), cell), `the cell ${cell}`)
    const body = json === undefined ? own : Buffer.from(json)
    const signing = { method, target: path, from: self, to: cell, headers, body }
    return {
      origin: url,
      path,
      method,
      headers: { ...headers, ...signedHeaders(privateKey, signing, clock.now()) },
      body,
      deadlineMs: deadlineOf(method, headers.prefer),
    }
  }

  /** With a span of its own, where the request is sampled. */
  async function sent<T>(request: FastifyRequest, cell: CellName, work: (span: Span | null) => Promise<T>): Promise<T> {
    inFlight.set(cell, (inFlight.get(cell) ?? 0) + 1)
    options.onSent(cell)
    const span = request.span?.child('forward', { 'holdfast.peer': cell }, 'client') ?? null
    try {
      if (latencyMs > 0) await clock.sleep(latencyMs)
      return await (span ? within(span, () => work(span)) : work(null))
    } finally {
      inFlight.set(cell, inFlight.get(cell)! - 1)
    }
  }

  async function forward(request: FastifyRequest, reply: FastifyReply, cell: CellName, what: What): Promise<void> {
    request.startedAt = clock.elapsedMs()
    const refusal = whyNotSent(request, cell)
    if (refusal) return void sendErrandRefused(reply, refusal)
    const left = new AbortController()
    reply.raw.on('close', () => left.abort())
    if (reply.raw.destroyed) left.abort()
    const unanswered = await sent(request, cell, async (span) => {
      const own = what.json === undefined ? await bodyOf(request).catch(() => left.abort()) : null
      if (own && 'code' in own) return own
      return carry(whole, errandOf(request, cell, { ...what, span }, own ?? null), sinkOf(request, reply, left))
    })
    if (!unanswered) return
    if (left.signal.aborted) return void reply.hijack() // nobody is there to be told
    if ('code' in unanswered) return void sendErrandRefused(reply, unanswered)
    sendErrandRefused(reply, unreachable(cell, unanswered.isSent && !isSafe(request.method)))
  }

  function follow(route: Route, request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    if (!('kind' in route)) return void sendRefused(reply, route)
    if (route.kind === 'here') done()
    else if (route.kind === 'there') void forward(request, reply, route.cell, {})
    else
      knownAt(request, request.headers['idempotency-key']).then(
        (cell = route.cell) => (cell === self ? done() : forward(request, reply, cell, { isPlacedThere: true })),
        done, // as a fault of ours
      )
  }

  return {
    onRequest(request, reply, done) {
      const { headers } = request
      if (headers[hopsHeader] !== undefined) {
        if (faults?.cutOff) return cutOff(reply)
        // Unsigned it is refused, not passed over: else cells whose clocks differ would forward to each other for ever.
        const sender = verifier.senderOf({ method: request.method, target: request.url, headers })
        if (!sender.ok) return void sendRefused(reply, sender)
        const hops = Number(headers[hopsHeader])
        if (!Number.isInteger(hops) || hops < 1) return void sendRefused(reply, refused('malformed_request'))
        if (hops > limits.hopsMax) return void sendRefused(reply, refused('too_many_hops'))
        request.hops = hops
        const { digest } = sender.value
        if ((digest !== null) !== hasBody(headers)) return void sendRefused(reply, refused('peer_signature_invalid'))
        request.signedDigest = digest
        request.isPlacedHere = headers[placedHereHeader] !== undefined
      }
      follow(routeOf(askedOf(request), view()), request, reply, done)
    },
    preParsing({ signedDigest }, _reply, payload, done) {
      done(null, signedDigest === null ? payload : comparedBody(payload, signedDigest))
    },
    elsewhere: {
      homeOfOrder(request, holdId) {
        const route = homeOfOrder(holdId, keyOf(request), { topology: topology.current(), self })
        return 'kind' in route ? (route.kind === 'here' ? undefined : route.cell) : route
      },
      sharing(key) {
        const { cells } = topology.current()
        const isAlone = cells.every(({ name, state }) => name === self || state === 'removed') // nobody would read the event
        const names = nameInKey(key)
        return isAlone || names === self ? undefined : { names }
      },
      forwardJson: (request, reply, { cell, isPlacedThere }, body) =>
        forward(request, reply, cell, { json: JSON.stringify(body), isPlacedThere }),
      async homeOfLine(request, { key, holdId }) {
        const { hops, isPlacedHere } = request
        const withHold = holdId === undefined ? undefined : homeOfOrder(holdId, key, view())
        const route = withHold ?? toPlace({ key, isForwarded: hops > 0, isPlacedHere }, view())
        if (!('kind' in route)) return route
        if (route.kind === 'here') return undefined
        if (route.kind === 'there') return { cell: route.cell, isPlacedThere: withHold !== undefined }
        const cell = (await knownAt(request, key)) ?? route.cell
        return cell === self ? undefined : { cell, isPlacedThere: true }
      },
      async forwardLine(request, { cell, isPlacedThere }, { key, body, path }) {
        const refusal = whyNotSent(request, cell)
        if (refusal) return problemLine(refusal)
        const target = { method: 'POST', path, json: JSON.stringify(body), isPlacedThere }
        const answer = await sent(request, cell, (span) =>
          fetchText(
            lines,
            errandOf(request, cell, { ...target, span, headers: { 'idempotency-key': key } }),
            wholeAnswer,
          ),
        )
        if ('why' in answer) return problemLine(unreachable(cell, answer.isSent))
        const { status, headers, text } = answer
        if (status >= 400) return `{"status":${status},"problem":${text}}`
        const replayed = headers['idempotent-replayed'] === 'true' ? '"replayed":true,' : ''
        return `{"status":${status},${replayed}${path === '/v1/orders' ? `"order":${text}` : text.slice(1, -1)}}`
      },
    },
    events: {
      others: () => peers.others(),
      async fetchJson(request, cell, path, deadlineMs) {
        if (whyNotSent(request, cell)) return undefined
        const answer = await sent(request, cell, (span) => {
          const asked = errandOf(request, cell, { method: 'GET', path, span, headers: { accept: 'application/json' } })
          return fetchText(whole, { ...asked, deadlineMs: Math.min(asked.deadlineMs, deadlineMs) }, wholeAnswer)
        })
        return 'why' in answer ? undefined : answer
      },
    },
    async stop() {
      stopListening()
      await Promise.all([whole.destroy(), lines.destroy()])
    },
  }
}

/** Method, path and body are the request's unless said; `json` is a body of our own making. */
type What = {
  method?: string
  path?: string
  json?: string
  headers?: Record<string, string>
  isPlacedThere?: boolean
  /** Of the errand. */
  span?: Span | null
}

const agentOptions = {
  connect: { timeout: limits.forwardConnectMsMax },
  allowH2: false,
  pipelining: 1,
  keepAliveTimeout: limits.keepAliveMs / 2, // the server's own is longer: it never closes just as we send
  headersTimeout: 0, // `deadlineMs` of the errand
  bodyTimeout: limits.forwardStallMsMax,
}
const wholeAnswer = { bytesMax: limits.forwardAnswerBytesMax, left: new AbortController().signal }

const bodyOf = ({ raw, signedDigest }: FastifyRequest) => wholeBody(raw, signedDigest)

const isSafe = (method: string): boolean => method === 'GET' || method === 'HEAD'

const unreachable = (cell: CellName, mayHaveHappened: boolean): Refused => ({
  ...refused('cell_unreachable', `The cell ${cell} is out of reach.`),
  mayHaveHappened,
})

function sendErrandRefused(reply: FastifyReply, refusal: Refused): void {
  if (refusal.code === 'cell_unreachable' || refusal.code === 'overloaded') reply.header('retry-after', '1')
  if (refusal.code === 'body_too_large') reply.header('connection', 'close') // it is not read to its end
  sendRefused(reply, refusal)
}

const keyOf = ({ headers }: FastifyRequest): string | undefined => {
  const key = headers['idempotency-key']
  return typeof key === 'string' ? key : undefined
}

function askedOf(request: FastifyRequest) {
  const { method, url, hops, isPlacedHere } = request
  const at = url.indexOf('?')
  const path = at < 0 ? url : url.slice(0, at)
  return { method, path, query: queryOf(url, at), key: keyOf(request), isForwarded: hops > 0, isPlacedHere }
}

/** Of those few requests that have such a query. */
function queryOf(url: string, at: number): { cell?: string; order?: string } {
  if (at < 0 || !/[?&](?:cell|order)=/.test(url)) return {}
  const query = new URLSearchParams(url.slice(at + 1))
  const [cell, order] = [query.get('cell'), query.get('order')]
  return { ...(cell === null ? {} : { cell }), ...(order === null ? {} : { order }) }
}

/** The client's own answer, which ends when this server does. */
function sinkOf(request: FastifyRequest, reply: FastifyReply, left: AbortController): Sink {
  const { exchange } = request.server
  const response = reply.raw
  return {
    left: left.signal,
    head(status, headers) {
      reply.hijack()
      exchange.onAnswer({ ...answerTo(request, status), placing: null }) // its home has counted what it was to do
      response.writeHead(status, { ...passedBack(headers, exchange.draining), 'holdfast-via': exchange.cell })
      if (!String(headers['content-type']).startsWith('text/event-stream')) return
      response.flushHeaders()
      exchange.drain.addEventListener('abort', () => left.abort(), { once: true, signal: left.signal })
    },
    data: (chunk) => response.write(chunk),
    drained: (goOn) => void response.once('drain', goOn),
    end: () => void response.end(),
    broken: () => void response.destroy(),
  }
}
