// The other cells, as the parts of this one use them: who they are, what they are asked and told, and what their logs bring. A cell
// without a key of its own talks to none.
import type { KeyObject } from 'node:crypto'
import type { CellName } from './base/ids.ts'
import { limits } from './base/limits.ts'
import type { Instant } from './base/time.ts'
import { cellNamed, firstCell, isOneZone } from './base/topology.ts'
import { startComparisons } from './cell-comparing.ts'
import { followOthers } from './cell-following.ts'
import type { CellTopology } from './cell-topology.ts'
import type { CellsHeard } from './gateway/cells.ts'
import type { Routing } from './gateway/forwarding.ts'
import type { PeerRoutesOptions } from './gateway/peers.ts'
import { duplicateHandler, engineForOthers, standingHandler } from './modules/orders/from-others.ts'
import { withGathering } from './modules/orders/gathering.ts'
import { betweenBatches } from './modules/orders/key-tables.ts'
import { openLeftKeys } from './modules/orders/left-keys.ts'
import { createOrderReader } from './modules/orders/reads.ts'
import type { Commands } from './modules/orders/service.ts'
import { shopReplicas } from './modules/shops/replica.ts'
import type { Keys } from './modules/shops/service.ts'
import type { SeveralCells } from './modules/stock/adjusting.ts'
import { createAllotments } from './modules/stock/allotments.ts'
import type { Confirmed } from './modules/stock/audit.ts'
import { createComparing } from './modules/stock/comparing.ts'
import { type Demand, trackDemand } from './modules/stock/demand.ts'
import { handOverUnits } from './modules/stock/handing-over.ts'
import { openOtherCells } from './modules/stock/other-cells.ts'
import { readOwing } from './modules/stock/reads.ts'
import { stockReplicas } from './modules/stock/replica.ts'
import {
  forgetLeaving,
  trackConfirmed,
  trackUnconfirmed,
  transferSumsHandler,
  unsettledWith,
} from './modules/stock/transfer-sums.ts'
import type { StockRow } from './modules/stock/types.ts'
import type { PostgresBusOptions } from './runtime/bus-postgres.ts'
import type { Clock } from './runtime/clock.ts'
import type { Config } from './runtime/config.ts'
import { every, type Recurring } from './runtime/every.ts'
import type { Faults } from './runtime/faults.ts'
import { presentLife } from './runtime/incarnation.ts'
import type { Log } from './runtime/log.ts'
import type { LogReader } from './runtime/logreader.ts'
import type { Metrics } from './runtime/metrics.ts'
import { createLogHandler } from './runtime/peer-log.ts'
import { PeerRefused, PeerUnreachable } from './runtime/peer-requests.ts'
import { createPeerVerifier } from './runtime/peer-signature.ts'
import { createPeers, type PeerHandler, type Peers } from './runtime/peers.ts'
import type { Database } from './runtime/pg.ts'
import { replicaHandler, toldTo } from './runtime/replica.ts'
import { createReplicaAges } from './runtime/replica-age.ts'
import type { Standing } from './runtime/standing.ts'

export type OthersOptions = {
  cell: CellName
  key: KeyObject
  cells: CellTopology
  database: Database
  /** What others are told is read there. */
  told: Pick<Database, 'query'>
  reader: LogReader
  clock: Clock
  config: Partial<Pick<Config, 'latencyMs'>>
  faults: Pick<Faults, 'cutOff'>
  metrics: Metrics
  log: Log
  commands: Pick<Commands, 'submit'>
  standing: Standing
  keys: Keys
  /** Of the buses on which the others' logs are consumed. */
  reports: Pick<PostgresBusOptions, 'onError' | 'onGivenUp' | 'onDelivered'>
  onError(error: unknown): void
}

export type Others = {
  /** Routes that need units which other cells have submit through it. */
  submit: Commands['submit']
  routing: Routing
  peerRoutes: Omit<PeerRoutesOptions, 'elapsedMs'>
  several: Omit<SeveralCells, 'elsewhere'>
  heard: CellsHeard & Pick<Peers, 'hearsNobody'>
  sawRows(rows: readonly StockRow[]): void
  /** What of this cell is here or under way; null when it may leave. */
  whyNotEmptied: CellTopology['whyNotEmptied']
  /** Units that others have confirmed to have from here. */
  confirmed(): Promise<Confirmed>
  /** Since when peers have not confirmed all that was sent to them. */
  unconfirmedSince(): Promise<ReadonlyMap<CellName, Instant>>
  stop(): Promise<void>
}

const sumsHandler = ({ told, cells: { topology }, database }: OthersOptions) =>
  transferSumsHandler({ told, topology, betweenBatches: (work) => betweenBatches(database, work) })

/** Whether a peer is up is told where it turns, and not wherever somebody finds out. */
const isOutOfReach = (error: unknown): boolean => error instanceof PeerUnreachable || error instanceof PeerRefused

export function startOthers(options: OthersOptions): Others {
  const { cell, key, cells, database, told, reader, clock, metrics, log, commands, standing, faults } = options
  const { latencyMs = 0 } = options.config
  const onError = (error: unknown) => isOutOfReach(error) || options.onError(error)
  const { topology, rules } = cells
  const verifier = createPeerVerifier({ self: cell, cells: () => topology.current().cells, now: clock.now })
  const incarnation = () => presentLife(reader.lives).incarnation
  const greeting = createPeers({
    ...{ self: cell, key, topology, rules, clock, metrics, log, latencyMs, faults },
    ...{ incarnation, isWell: standing.isWell },
    ancestors: () => reader.lives.slice(0, -1).map((life) => life.incarnation),
    onClaimed: async (ours) => void (await standing.foundClaimed(ours).catch(onError)),
  })
  const stateOf = (name: CellName) => cellNamed(topology.current(), name)?.state ?? 'removed'
  const peers = { ...greeting, isActive: (name: CellName) => stateOf(name) === 'active' }
  const engine = engineForOthers(commands, clock.now)
  const demand = trackDemand(clock.elapsedMs)
  const allotments = createAllotments({
    ...{ cell, peers, clock, onError, demand },
    send: engine.send,
    receive: async (command) => (await engine.receive(command)).units,
  })
  const leftKeys = openLeftKeys({ ...options, peers, rememberKey: engine.rememberKey, isOutOfReach })
  const otherCells = openOtherCells({ cell, database, told, peers, receive: engine.receive, clock })
  const comparing = createComparing({ database, told, peers, ...engine })
  const comparisons = startComparisons({ comparing, peers, standing, log, onError })
  const kinds = [...shopReplicas(options.keys), ...stockReplicas]
  const mayKnow = (name: CellName) => isOneZone(topology.current(), cell, name)
  const ages = createReplicaAges(metrics, clock.now)
  const handlers = new Map<string, PeerHandler>([
    ['greet', peers.onGreeting],
    ['log', createLogHandler(reader, toldTo(kinds, mayKnow))],
    ['replica', replicaHandler(told, kinds, mayKnow)],
    ['ask', allotments.answerAsk],
    ['levels', (_, body) => otherCells.answerLevels(body)],
    ['credit', otherCells.answerCredit],
    ['transfer-sums', sumsHandler(options)],
    ['totals', comparing.answerTotals],
    ['standing', standingHandler(createOrderReader(told))],
    ['duplicate', duplicateHandler(cell, engine, peers)],
    ['leave-keys', leftKeys.answer],
  ])

  const following = followOthers({ ...options, topology, onError, peers, kinds, ages, engine })
  const begun = readOwing(database).then((owing) => owing.forEach(allotments.saw), onError)
  const { sharesOf } = allotments
  const handing = { cell, database, peers, sharesOf, deliver: otherCells.deliver, handOver: engine.send }
  const handOver = () => handOverUnits(handing)
  const unlessFrozen = onceGreeted(greeting.greeted, standing)
  const unconfirmedSince = trackUnconfirmed({ database, peers, now: clock.now })
  const chores = [
    every(limits.owedEveryMs, unlessFrozen(allotments.askForOwed), onError),
    every(limits.handOverEveryMs, unlessFrozen(handOver), onError),
    followLeaving({ topology, database, onError }),
    tellUnconfirmed({ metrics, peers, clock, unconfirmedSince, onError }),
  ]

  return {
    submit: withGathering(commands, allotments, clock.now, tellUnits(metrics, demand)),
    routing: { topology, peers, privateKey: key, verifier, takesNew: () => !standing.frozen, latencyMs, faults },
    peerRoutes: {
      ...{ verifier, handlers, faults, greeted: greeting.greeted },
      life: { present: incarnation, hears: peers.hears },
    },
    several: {
      ...{ otherCells, sharesOf },
      firstCell: () => firstCell(topology.current()),
      takeKey: leftKeys.takeKey,
      isAlone: () => peers.others().length === 0,
      stateOf: (name) => stateOf(name as CellName),
    },
    heard: {
      ...peers,
      dataAsOf: (name) => ages.ages().find(({ from }) => from === name)?.asOf ?? null,
    },
    ...{ sawRows: allotments.saw, whyNotEmptied: whyNotEmptied({ database, peers, cells, standing }) },
    ...{ confirmed: trackConfirmed(peers), unconfirmedSince },
    async stop() {
      await Promise.all([begun, comparisons.stop(), ...chores.map((chore) => chore.stop())])
      await following.stop()
      await peers.stop()
    },
  }
}

/** Of units that may be elsewhere: how many SKUs run out here, and whether buyers hear "sold out" though not all cells were heard. */
function tellUnits(metrics: Metrics, demand: Pick<Demand, 'levels'>): (isCertain: boolean) => void {
  const told = 'SKUs that were sold lately, by whether what is here lasts until more could have come'
  metrics.gaugesOf('holdfast_allotment_skus', told, ['level'], () =>
    Object.entries(demand.levels()).map(([level, value]) => ({ labels: { level }, value })),
  )
  const help = 'Refused for want of units; certain: every other cell had said that it has none'
  const soldOut = metrics.counter('holdfast_sold_out_total', help, ['certain'])
  for (const certain of ['true', 'false']) soldOut.inc({ certain }, 0)
  return (isCertain) => soldOut.inc({ certain: String(isCertain) })
}

type Emptying = Pick<OthersOptions, 'database' | 'cells' | 'standing'> & { peers: Pick<Peers, 'call' | 'others'> }

const whyNotEmptied =
  ({ database, cells, standing, peers }: Emptying): Others['whyNotEmptied'] =>
  async () =>
    standing.frozen
      ? 'The cell is frozen: what it has is not known before it is reconciled.'
      : ((await cells.whyNotEmptied()) ?? (await unsettledWith({ database, peers, whatIsLeft: cells.whyNotEmptied })))

type Telling = Pick<OthersOptions, 'metrics' | 'clock' | 'onError'> & {
  peers: Pick<Peers, 'others'>
  unconfirmedSince: Others['unconfirmedSince']
}

/** Looked at by itself, since a peer that is slow to answer holds up the look; a scrape tells what the last one found. */
function tellUnconfirmed({ metrics, peers, clock, unconfirmedSince, onError }: Telling): Recurring {
  let since: ReadonlyMap<CellName, Instant> = new Map()
  const told =
    'For how long, as far as was looked, a peer has not confirmed all units that were sent to it; 0 when it has'
  metrics.gaugesOf('holdfast_peer_unconfirmed_seconds', told, ['peer'], () =>
    peers.others().map((peer) => {
      const from = since.get(peer)
      return { labels: { peer }, value: from === undefined ? 0 : Math.max(0, (clock.now() - from) / 1000) }
    }),
  )
  const look = async () => {
    since = await unconfirmedSince()
  }
  return every(limits.unconfirmedEveryMs, look, onError)
}

/** An old primary that comes back knows what it is before it sends anything. */
const onceGreeted =
  (greeted: Promise<unknown>, standing: Pick<Standing, 'frozen'>) => (work: () => unknown) => async () => {
    await greeted
    if (!standing.frozen) await work()
  }

/** Cells that were about to leave and are active again are sent units at once; looked for again, should that have failed. */
function followLeaving({
  topology,
  database,
  onError,
}: Pick<OthersOptions, 'database' | 'onError'> & Following): Recurring {
  const forget = () => forgetLeaving(database, topology.current())
  const chore = every(limits.handOverEveryMs, forget, onError)
  const stopListening = topology.onChange(() => void forget().catch(onError))
  return {
    async stop() {
      stopListening()
      await chore.stop()
    },
  }
}

type Following = Pick<CellTopology, 'topology'>
