// Cells that are nothing but peers: each greets the others and answers what they ask, over HTTP on a free port. All of one
// group know each other by a topology in memory; an address can be put in front of a cell, to stand between it and the rest.
import type { KeyObject } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createServer, connect as open, type Server, type Socket } from 'node:net'
import { type FastifyInstance, fastify } from 'fastify'
import type { CellName, Uuid } from '../../src/base/ids.ts'
import { newerTopology, type Topology, type TopologyCell } from '../../src/base/topology.ts'
import { sendFailure } from '../../src/gateway/failures.ts'
import { peerRoutes } from '../../src/gateway/peers.ts'
import { type Clock, systemClock } from '../../src/runtime/clock.ts'
import { acceptJson } from '../../src/runtime/http.ts'
import { openMetrics } from '../../src/runtime/metrics.ts'
import { cellKeyOf, newCellKey, publicKeyOf } from '../../src/runtime/peer-keys.ts'
import { createPeerVerifier } from '../../src/runtime/peer-signature.ts'
import { createPeers, type PeerHandler, type Peers } from '../../src/runtime/peers.ts'
import { randomUuid } from '../../src/runtime/random.ts'

/** Hands bytes on between whoever connects and the cell behind it. */
export type Gap = {
  url: string
  /** Ends the connections there are. */
  cut(): void
  /** While it holds, nothing is connected, or nothing that arrives is handed on. */
  set(state: 'open' | 'closed' | 'silent'): Promise<void>
  stop(): Promise<void>
}

async function openGap(port: number): Promise<Gap> {
  let state: 'open' | 'closed' | 'silent' = 'open'
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    return socket.on('close', () => sockets.delete(socket)).on('error', () => {})
  }
  const server: Server = createServer((near) => {
    const far = open({ host: '127.0.0.1', port })
    for (const [from, to] of [
      [keep(near), far],
      [keep(far), near],
    ] as const) {
      from.on('data', (bytes) => state === 'open' && to.write(bytes)).on('close', () => to.destroy())
    }
  })
  const listen = (at: number) => new Promise<void>((resolve) => void server.listen(at, '127.0.0.1', resolve))
  await listen(0)
  const { port: own } = server.address() as AddressInfo
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve))
    cut()
    await closed
  }
  return {
    url: `http://127.0.0.1:${own}`,
    cut,
    async set(next) {
      if (state === 'closed' && next !== 'closed') await listen(own)
      if (next === 'closed' && state !== 'closed') await close()
      state = next
    },
    stop: async () => void (state !== 'closed' && (await close())),
  }
}

export type PeerCell = {
  name: CellName
  key: KeyObject
  gap: Gap
  peers: Peers
  /** What it would log, as words. */
  logged: string[]
  /** The topology that it has now. */
  topology(): Topology
  offer(topology: Topology): void
  /** As restored, promoted or copied. */
  incarnation: Uuid
  /** The lives of its database before. */
  ancestors: Uuid[]
  /** Whether its database answers. */
  isWell: boolean
  metricsText(): Promise<string>
  stop(): Promise<void>
}

export type PeerCellOptions = {
  names: readonly string[]
  handlers?: (name: CellName) => Record<string, PeerHandler>
  latencyMs?: number
  /** Requests of one cell that another answers at once. */
  servedMax?: number
  clockOf?: (name: CellName) => Clock
}

/** What is behind an address, before the addresses of all are known. */
async function listenFor(name: CellName) {
  const app = fastify({ forceCloseConnections: true })
  const drain = new AbortController()
  app.decorate('exchange', { cell: name, draining: false, drain: drain.signal, onAnswer: () => {} })
  app.decorateRequest('startedAt', 0)
  app.addHook('preClose', async () => drain.abort())
  acceptJson(app)
  const log = { error: () => {}, warn: () => {} } as never
  app.setErrorHandler((error, request, reply) =>
    sendFailure(error, request, reply, { log, retryAfterSeconds: () => 1 }),
  )
  return { app, key: cellKeyOf(newCellKey()) }
}

type Begun = {
  name: CellName
  app: FastifyInstance
  key: KeyObject
  state: { topology: Topology | undefined; cell: PeerCell | undefined }
}

export async function openPeerCells(options: PeerCellOptions): Promise<PeerCell[]> {
  const names = options.names as readonly CellName[]
  const begun: Begun[] = []
  const made: (() => Promise<PeerCell>)[] = []
  const described: TopologyCell[] = []
  for (const name of names) {
    const { app, key } = await listenFor(name)
    const one: Begun = { name, app, key, state: { topology: undefined, cell: undefined } }
    begun.push(one)
    const verifier = createPeerVerifier({
      self: name,
      cells: () => one.state.topology?.cells ?? [],
      now: (options.clockOf?.(name) ?? systemClock).now,
    })
    const handlers = new Map<string, PeerHandler>(Object.entries(options.handlers?.(name) ?? {}))
    const { servedMax } = options
    const life = {
      present: () => one.state.cell!.incarnation,
      hears: (from: CellName, said: string | undefined) => one.state.cell!.peers.hears(from, said),
    }
    const serving = { verifier, handlers, life, elapsedMs: systemClock.elapsedMs, ...(servedMax ? { servedMax } : {}) }
    await app.register(async (bytes) => peerRoutes(bytes, serving))
    await app.listen({ host: '127.0.0.1', port: 0 })
    const gap = await openGap((app.server.address() as AddressInfo).port)
    described.push({
      name,
      url: gap.url,
      publicKey: publicKeyOf(key),
      state: 'active',
      durability: 'local',
      onIsolation: 'sell',
      standby: null,
    })
    made.push(async () => {
      one.state.cell = begin(options, one, gap, handlers)
      return one.state.cell
    })
  }
  const regions = [...new Set(names.map((name) => name.replace(/\d+$/, '')))]
  const topology: Topology = { version: 1, by: names[0]!, zones: [{ name: 'all', regions }], cells: described }
  for (const { state } of begun) state.topology = topology
  return Promise.all(made.map((make) => make()))
}

function begin(
  options: PeerCellOptions,
  { name, app, key, state }: Begun,
  gap: Gap,
  handlers: Map<string, PeerHandler>,
): PeerCell {
  const logged: string[] = []
  const say = (_: object, message: string): void => void logged.push(message)
  const metrics = openMetrics()
  const offer = (topology: Topology): void => {
    state.topology = newerTopology(state.topology!, topology)
  }
  const takeAny = async (topology: Topology) => {
    offer(topology)
    return []
  }
  const cell = { incarnation: randomUuid(), ancestors: [] as Uuid[], isWell: true }
  const peers = createPeers({
    self: name,
    key,
    topology: { current: () => state.topology!, offer: takeAny },
    incarnation: () => cell.incarnation,
    ancestors: () => cell.ancestors,
    isWell: () => cell.isWell,
    clock: options.clockOf?.(name) ?? systemClock,
    metrics,
    log: { info: say, warn: say, error: say } as never,
    ...(options.latencyMs ? { latencyMs: options.latencyMs } : {}),
  })
  handlers.set('greet', peers.onGreeting)
  return Object.assign(cell, {
    name,
    key,
    gap,
    peers,
    logged,
    topology: () => state.topology!,
    offer,
    metricsText: () => metrics.text(),
    async stop() {
      await peers.stop()
      await gap.stop()
      await app.close()
    },
  })
}
