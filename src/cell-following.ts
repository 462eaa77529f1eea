// What this cell takes over from the logs of the others, for as long as each of them is a cell: rows that every cell has, units that
// were sent here, and orders of keys that may have been taken here too.
import type { CellName } from './base/ids.ts'
import type { Json } from './base/json.ts'
import { limits } from './base/limits.ts'
import type { CellTopology } from './cell-topology.ts'
import { type EngineForOthers, newsConsumer } from './modules/orders/from-others.ts'
import { type PostgresBusOptions, postgresBus } from './runtime/bus-postgres.ts'
import type { Clock } from './runtime/clock.ts'
import type { Log } from './runtime/log.ts'
import { peerLogReader } from './runtime/peer-log.ts'
import type { Peers } from './runtime/peers.ts'
import type { Database } from './runtime/pg.ts'
import { copyReplica, type ReplicaKind, replicaConsumer } from './runtime/replica.ts'
import type { ReplicaAges } from './runtime/replica-age.ts'
import { heldWhileFrozen, type Standing } from './runtime/standing.ts'

type FollowingOptions = {
  cell: CellName
  topology: Pick<CellTopology['topology'], 'onChange'>
  database: Database
  clock: Clock
  log: Pick<Log, 'warn'>
  /** Of the buses on which the others' logs are consumed. */
  reports: Pick<PostgresBusOptions, 'onError' | 'onGivenUp' | 'onDelivered'>
  standing: Standing
  onError(error: unknown): void
  peers: Peers
  kinds: readonly ReplicaKind[]
  ages: ReplicaAges
  engine: EngineForOthers
}

/** Follows whoever is a cell, and nobody who was removed. */
export function followOthers(options: FollowingOptions): { stop(): Promise<void> } {
  const { peers, ages, topology, onError } = options
  const followed = new Map<CellName, ReturnType<typeof follow>>()
  const ending = new Set<Promise<void>>()

  function leave(peer: CellName): void {
    const end: Promise<void> = followed
      .get(peer)!
      .stop()
      .catch(onError)
      .finally(() => ending.delete(end))
    ending.add(end)
    followed.delete(peer)
    ages.forget(peer)
  }

  function followAll(): void {
    const others = peers.others()
    for (const peer of others) if (!followed.has(peer)) followed.set(peer, follow(peer, options))
    for (const peer of [...followed.keys()]) if (!others.includes(peer)) leave(peer)
  }

  followAll()
  const stopListening = topology.onChange(followAll)
  return {
    async stop() {
      stopListening()
      for (const peer of [...followed.keys()]) leave(peer)
      await Promise.all(ending)
    },
  }
}

/** All that another cell's log brings; replicas on a reader of their own, by which their age is known. */
function follow(peer: CellName, options: FollowingOptions): { stop(): Promise<void> } {
  const { cell, database, clock, log, reports, standing, onError, peers, kinds, engine } = options
  const stopping = new AbortController()
  const copies = new Set<Promise<void>>()
  const copy = (): void => {
    const one: Promise<void> = copyFrom(peer, options, stopping.signal).finally(() => copies.delete(one))
    copies.add(one)
  }
  copy()
  const readLog = () => peerLogReader({ peer, peers, clock, onError, onExpired: copy })
  const shared = { database, clock, ...reports }
  const replicas = postgresBus({ ...shared, reader: options.ages.watch(peer, readLog()) })
  replicas.consume(replicaConsumer(peer, kinds))
  const news = postgresBus({ ...shared, reader: heldWhileFrozen(readLog(), standing) })
  news.consume(
    newsConsumer(peer, {
      ...{ cell, database, peers, engine },
      onMismatch: (shopId, order, other) => log.warn({ shopId, order, other }, 'one key, two requests in two cells'),
    }),
  )
  return {
    async stop() {
      stopping.abort()
      await Promise.all([replicas.close(), news.close(), ...copies])
    },
  }
}

/** Takes over what every cell has from the peer, which may be out of reach for long. */
async function copyFrom(
  peer: CellName,
  { peers, database, kinds, clock, onError }: FollowingOptions,
  signal: AbortSignal,
): Promise<void> {
  const call = (body: Json) => peers.call(peer, 'replica', body, { deadlineMs: limits.askMsMax, signal })
  while (!signal.aborted) {
    try {
      return await copyReplica(call, database, kinds)
    } catch (error) {
      if (!signal.aborted) onError(error)
      await clock.sleep(limits.peerGreetEveryMs, signal)
    }
  }
}
