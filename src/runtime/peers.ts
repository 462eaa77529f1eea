// The other cells as this one knows them: who is up, how far away, and whether its clock goes right. Each is greeted every
// half second; a cell that does not answer its greetings, or whose database does not answer it, is down, calls to it fail at once,
// and the first good answer to a greeting brings it back. A message that it is slow to answer is spared it for a while.
import type { KeyObject } from 'node:crypto'
import type { CellName, Uuid } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { refused } from '../base/result.ts'
import type { Instant } from '../base/time.ts'
import { cellNamed } from '../base/topology.ts'
import type { Clock } from './clock.ts'
import type { Faults } from './faults.ts'
import { RefusedRequest } from './http.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import {
  type Greeting,
  type GreetingOptions,
  greetingJson,
  hashOfTopology,
  readGreeting,
  topologyAdopter,
} from './peer-greeting.ts'
import { rememberPeerLives } from './peer-lives.ts'
import { openPeerRequests, PeerRefused, PeerUnreachable } from './peer-requests.ts'
import { type Span, within } from './tracing.ts'

/** `span`: of whoever waits for the answer, where that is sampled. */
export type PeerCallOptions = { deadlineMs: number; signal?: AbortSignal; span?: Span | null }

export type Peers = {
  readonly self: CellName
  /** Active and draining cells other than this one, nearest first; those whose round trip is not known come last. */
  others(): readonly CellName[]
  /** Answered its last greetings, or was not greeted yet. */
  isUp(cell: CellName): boolean
  /** Of a round trip, smoothed; 0 when not known. */
  rttMs(cell: CellName): number
  /** How far its clock is ahead of ours, as far as half a round trip tells; null when not known. */
  skewMs(cell: CellName): number | null
  lastHeardAt(cell: CellName): Instant | null
  /** There are others, and none was heard for so long: no answer, no greeting. */
  hearsNobody(ms: number): boolean
  /** The present life of its database, as it last said; null when it was not heard yet. */
  lifeOf(cell: CellName): Uuid | null
  /** Whether what it says in this life counts; not if another life of it has greeted since. */
  hears(cell: CellName, life: string | undefined): boolean
  /** Rejects with PeerUnreachable or PeerRefused. Whatever it asks for bears being done twice. */
  call(cell: CellName, message: string, body: Json, options: PeerCallOptions): Promise<Json>
  stop(): Promise<void>
}

/**
 * Answers a message of a peer whose signature was found good. Refuses by throwing RefusedRequest. The signal aborts when the
 * peer has gone or this cell stops, for whoever waits.
 */
export type PeerHandler = (from: CellName, body: Json, signal: AbortSignal) => Promise<Json>
/** By the name of the message. */
export type PeerHandlers = ReadonlyMap<string, PeerHandler>

export type PeersOptions = GreetingOptions & {
  self: CellName
  key: KeyObject
  clock: Clock
  metrics: Pick<Metrics, 'counter' | 'gaugesOf'>
  log: Pick<Log, 'info' | 'warn' | 'error'>
  /** For development: what a round trip takes longer than the network here does. */
  latencyMs?: number
  /** For development: whether all this is cut off. */
  faults?: Pick<Faults, 'cutOff'> | undefined
  /** The others know a later life of this cell than the one that it told. */
  onClaimed?(ours: Uuid): Promise<void>
}

type Peer = {
  isUp: boolean
  /** And no word yet that it is back. */
  isToldDown: boolean
  /** In a row. */
  failures: number
  rttMs: number
  skewMs: number | null
  /** By its greetings too, which tell nothing of the way there. */
  heardAt: Instant | null
  /** The same, on the clock that never goes back. */
  heardMs: number
  life: Uuid | null
  /** By it alone, on that clock. */
  answeredMs: number
  inFlight: number
  /** Messages whose last answers were late. */
  late: Map<string, { count: number; untilMs: number }>
  /** Ends the calls under way when the peer turns out to be down. */
  calls: AbortController
  greetings: Set<Promise<void>>
}

const unknownPeer = (): Peer => ({
  isUp: true,
  isToldDown: false,
  failures: 0,
  rttMs: 0,
  skewMs: null,
  heardAt: null,
  heardMs: Number.NEGATIVE_INFINITY,
  life: null,
  answeredMs: Number.NEGATIVE_INFINITY,
  inFlight: 0,
  late: new Map(),
  calls: new AbortController(),
  greetings: new Set(),
})

type Greeted = Peers & {
  onGreeting: PeerHandler
  /** Whoever can be reached has had a say, so that an old primary that comes back knows what it is before it takes anything. */
  greeted: Promise<unknown>
}

/** Greets from now on. `onGreeting` is the handler of the message `greet`, by which the others do the same. */
export function createPeers(options: PeersOptions): Greeted {
  const { self, topology, clock } = options
  const requests = openPeerRequests(options)
  const known = new Map<CellName, Peer>()
  const stopping = new AbortController()
  const startedMs = clock.elapsedMs()
  const report = reportsTo(options)
  const lives = rememberPeerLives()
  const adopt = topologyAdopter(options, (cell) => peerOf(cell).heardMs > clock.elapsedMs() - limits.isolatedMs)

  function peerOf(cell: CellName): Peer {
    const peer = known.get(cell) ?? unknownPeer()
    known.set(cell, peer)
    return peer
  }

  function heard(peer: Peer): void {
    peer.heardAt = clock.now()
    peer.heardMs = clock.elapsedMs()
  }

  function answered(cell: CellName): void {
    const peer = peerOf(cell)
    heard(peer)
    peer.answeredMs = peer.heardMs
    peer.failures = 0
  }

  function wasLate(cell: CellName, message: string): void {
    const { late } = peerOf(cell)
    const count = (late.get(message)?.count ?? 0) + 1
    late.set(message, { count, untilMs: clock.elapsedMs() + limits.peerMessagePauseMs })
  }

  function isSpared(cell: CellName, message: string): boolean {
    const late = peerOf(cell).late.get(message)
    return late !== undefined && late.count >= limits.peerFailuresMax && clock.elapsedMs() < late.untilMs
  }

  function setUp(cell: CellName, isUp: boolean, why: string): void {
    const peer = peerOf(cell)
    if (peer.isUp === isUp) return
    peer.isUp = isUp
    tell(cell, why)
    if (isUp) return
    peer.calls.abort()
    peer.calls = new AbortController()
  }

  /** Cells that start together are down to each other for a moment, which is no news. */
  function tell(cell: CellName, why: string): void {
    const peer = peerOf(cell)
    const isStarting = peer.heardAt === null && clock.elapsedMs() < startedMs + limits.peerStartMs
    if (peer.isUp !== peer.isToldDown || (isStarting && !peer.isUp)) return
    peer.isToldDown = !peer.isUp
    report.turned(cell, peer.isUp, why)
  }

  /** A call in a hurry says nothing of the peer, nor does one that was slow while others were answered. */
  function failed(cell: CellName, error: PeerUnreachable, call: { deadlineMs: number; sinceMs: number }): void {
    const peer = peerOf(cell)
    if (peer.answeredMs > call.sinceMs || (error.isLate && call.deadlineMs < limits.peerGreetMsMax)) return
    if (++peer.failures < limits.peerFailuresMax) return
    setUp(cell, false, error.message)
    tell(cell, error.message)
  }

  async function send(cell: CellName, message: string, body: Json, how: PeerCallOptions) {
    const { deadlineMs, signal, span } = how
    const found = cellNamed(topology.current(), cell)
    if (!found || found.state === 'removed') throw new PeerUnreachable(cell, 'is no cell', {})
    const sinceMs = clock.elapsedMs()
    const ended = signal ? AbortSignal.any([stopping.signal, signal]) : stopping.signal
    try {
      const { value, life } = await requests.post({
        ...{ cell, url: found.url, message, body, deadlineMs, signal: ended },
        traceparent: span?.traceparent,
      })
      answered(cell)
      peerOf(cell).late.delete(message)
      if (message !== 'greet' && lives.isOther(cell, life)) throw new PeerRefused(cell, 409, 'cell_claimed_twice')
      return value
    } catch (error) {
      if (error instanceof PeerUnreachable && error.isLate && deadlineMs >= limits.peerPatienceMsMin)
        wasLate(cell, message)
      else if (error instanceof PeerRefused) peerOf(cell).late.delete(message)
      if (error instanceof PeerRefused) answered(cell)
      else if (!ended.aborted) failed(cell, error as PeerUnreachable, { deadlineMs, sinceMs })
      if (!ended.aborted) report.failed(cell, message, error)
      throw error
    }
  }

  async function call(cell: CellName, message: string, body: Json, how: PeerCallOptions): Promise<Json> {
    const peer = peerOf(cell)
    if (!peer.isUp) throw new PeerUnreachable(cell, 'is down', {})
    if (isSpared(cell, message)) throw new PeerUnreachable(cell, `did not answer ${message} lately`, {})
    if (peer.inFlight >= limits.peerInFlightMax) throw new PeerUnreachable(cell, 'has too much to answer', {})
    peer.inFlight++
    const signal = how.signal ? AbortSignal.any([how.signal, peer.calls.signal]) : peer.calls.signal
    try {
      const span = how.span?.child('ask a peer', { 'holdfast.peer': cell, 'holdfast.message': message }, 'client')
      const asking = () => send(cell, message, body, { ...how, signal, span: span ?? null })
      return await (span ? within(span, asking) : asking())
    } finally {
      peer.inFlight--
    }
  }

  /** Whether the cell is to be heard; what another life of it says is told to the operator. */
  function isOfOneCell(cell: CellName, said: Greeting): boolean {
    const { incarnation } = said
    const heard = lives.saw(cell, said)
    const isTwice = heard === 'twice'
    if (isTwice) report.claimedTwice(cell, incarnation)
    if (heard === 'present') peerOf(cell).life = incarnation
    return !isTwice
  }

  async function greet(cell: CellName, isWhole = false): Promise<void> {
    const sent = { at: clock.now(), ms: clock.elapsedMs() }
    const deadlineMs = limits.peerGreetMsMax + (options.latencyMs ?? 0)
    const said = readGreeting(await send(cell, 'greet', greetingJson(options, isWhole), { deadlineMs }))
    const ms = clock.elapsedMs() - sent.ms
    if (!said) return setUp(cell, false, 'answers something else')
    if (!isOfOneCell(cell, said)) return setUp(cell, false, 'an older life of it answers')
    const peer = peerOf(cell)
    peer.rttMs = peer.rttMs === 0 ? ms : peer.rttMs + (ms - peer.rttMs) / 4
    peer.skewMs = said.now - (sent.at + ms / 2)
    setUp(cell, said.isWell, 'its database does not answer')
    await adopt(cell, said)
    if (!isWhole && said.topologyHash !== hashOfTopology(topology.current())) await greet(cell, true)
  }

  async function refusedBy(cell: CellName, error: PeerRefused, ours: Uuid): Promise<void> {
    setUp(cell, false, error.message)
    if (error.code === 'cell_claimed_twice') await options.onClaimed?.(ours)
  }

  function beginGreeting(cell: CellName): void {
    const { greetings } = peerOf(cell)
    if (stopping.signal.aborted || greetings.size >= limits.peerGreetingsMax) return
    const ours = options.incarnation()
    const one: Promise<void> = greet(cell)
      .catch(async (error) => {
        if (error instanceof PeerRefused) await refusedBy(cell, error, ours)
        else if (!(error instanceof PeerUnreachable)) report.fault(cell, error)
      })
      .finally(() => {
        greetings.delete(one)
      })
    greetings.add(one)
  }

  const distanceOf = (cell: CellName): number => known.get(cell)?.rttMs || Number.POSITIVE_INFINITY
  const others = (): CellName[] =>
    topology
      .current()
      .cells.filter(({ name, state }) => name !== self && state !== 'removed')
      .map(({ name }) => name)
      .sort((a, b) => (distanceOf(a) === distanceOf(b) ? 0 : distanceOf(a) - distanceOf(b)))

  tellPeers(options.metrics, () => others().flatMap((cell) => (known.has(cell) ? [[cell, peerOf(cell)] as const] : [])))
  const greeting = (async () => {
    while (!stopping.signal.aborted) {
      for (const cell of others()) beginGreeting(cell)
      await clock.sleep(limits.peerGreetEveryMs, stopping.signal)
    }
  })()

  const first = Promise.all(others().flatMap((cell) => [...peerOf(cell).greetings]))

  return {
    self,
    others,
    greeted: Promise.race([first, clock.sleep(limits.peerGreetMsMax, stopping.signal)]),
    isUp: (cell) => known.get(cell)?.isUp ?? true,
    rttMs: (cell) => known.get(cell)?.rttMs ?? 0,
    skewMs: (cell) => known.get(cell)?.skewMs ?? null,
    lastHeardAt: (cell) => known.get(cell)?.heardAt ?? null,
    hearsNobody(ms) {
      const since = clock.elapsedMs() - ms
      const all = others()
      return all.length > 0 && all.every((cell) => peerOf(cell).heardMs < since)
    },
    hears: (cell, life) => !lives.isOther(cell, life),
    lifeOf: (cell) => known.get(cell)?.life ?? null,
    call,
    async onGreeting(from, body) {
      const said = readGreeting(body)
      if (!said) throw new RefusedRequest(refused('invalid_body', 'It is no greeting.'))
      if (!isOfOneCell(from, said)) throw new RefusedRequest(refused('cell_claimed_twice'))
      const peer = peerOf(from)
      heard(peer)
      if (!peer.isUp) beginGreeting(from)
      await adopt(from, said)
      return greetingJson(options, said.topology !== undefined)
    },
    async stop() {
      stopping.abort()
      await greeting
      await Promise.all([...known.values()].flatMap(({ greetings }) => [...greetings]))
      await requests.close()
    },
  }
}

/** Of those that are cells now, as they are when somebody looks. */
function tellPeers(metrics: Pick<Metrics, 'gaugesOf'>, peers: () => (readonly [CellName, Peer])[]): void {
  const tell = (name: string, help: string, read: (peer: Peer) => number | null) =>
    metrics.gaugesOf(name, help, ['peer'], () =>
      peers().flatMap(([cell, peer]) => {
        const value = read(peer)
        return value === null ? [] : [{ labels: { peer: cell }, value }]
      }),
    )
  tell('holdfast_peer_up', 'Whether the peer answers: 1 or 0', ({ isUp }) => (isUp ? 1 : 0))
  tell('holdfast_peer_round_trip_seconds', 'Of a greeting, smoothed', ({ rttMs }) => (rttMs > 0 ? rttMs / 1000 : null))
  tell('holdfast_peer_clock_skew_seconds', 'How far its clock is ahead', ({ skewMs }) => skewMs && skewMs / 1000)
}

function reportsTo({ metrics, log }: Pick<PeersOptions, 'metrics' | 'log'>) {
  const failures = metrics.counter('holdfast_peer_failures_total', 'Calls without success', ['peer', 'message', 'why'])
  const twice = metrics.counter('holdfast_cells_claimed_twice_total', 'Heard of two lives of one cell', ['peer'])
  const told = new Set<Uuid>()
  return {
    turned(peer: CellName, isUp: boolean, why: string): void {
      if (isUp) log.info({ peer }, 'a peer is back')
      else log.warn({ peer, why }, 'a peer is down')
    },
    failed(peer: CellName, message: string, error: unknown): void {
      failures.inc({ peer, message, why: error instanceof PeerRefused ? error.code : 'unreachable' })
    },
    claimedTwice(peer: CellName, incarnation: Uuid): void {
      twice.inc({ peer })
      if (told.has(incarnation) || told.size >= limits.peerLivesRememberedMax) return
      told.add(incarnation)
      log.error({ peer, incarnation }, 'two databases claim to be one cell: stop one of them')
    },
    fault: (peer: CellName, err: unknown): void => log.warn({ err, peer }, 'greeting'),
  }
}
