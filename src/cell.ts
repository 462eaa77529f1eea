// The parts of one cell, built by hand on its database: the engine behind its queue, the log's reader, the auditor, the
// recurring work, and the HTTP app in front of them. What is started is stopped in reverse.
import { type KeyObject, randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { CellName } from './base/ids.ts'
import { limits } from './base/limits.ts'
import { addMs, type Instant, instant } from './base/time.ts'
import { firstCell } from './base/topology.ts'
import { type CellAudits, startAudits } from './cell-audits.ts'
import { type Batches, openCellGate, startBatches } from './cell-batches.ts'
import { openObjectives } from './cell-objectives.ts'
import { type Others, startOthers } from './cell-others.ts'
import { openProviders, startCellPayments } from './cell-payments.ts'
import { keepPromises, watchIsolation } from './cell-promises.ts'
import { countEvents } from './cell-pulse.ts'
import { openRoom } from './cell-room.ts'
import { type CellTopology, startCellTopology } from './cell-topology.ts'
import { startCellWebhooks } from './cell-webhooks.ts'
import { type AppOptions, createApp, drainApp } from './gateway/app.ts'
import type { Supervisor } from './gateway/chaos.ts'
import type { Routing } from './gateway/forwarding.ts'
import { countTraffic } from './gateway/traffic.ts'
import { createDeadLetters } from './modules/deadletters/service.ts'
import { deliverySource, eventSource, operationSource } from './modules/deadletters/sources.ts'
import { fulfilmentConsumer } from './modules/fulfilment/consumer.ts'
import { closeLedger } from './modules/ledger/audit.ts'
import { makeMonthPartitions, sweep } from './modules/orders/housekeeping.ts'
import { carryKeysOver, rotateKeys } from './modules/orders/key-tables.ts'
import { createOrderReader } from './modules/orders/reads.ts'
import { settlingThrough } from './modules/orders/service.ts'
import type { CommandOutcome, Submission } from './modules/orders/types.ts'
import { createWaiting } from './modules/orders/waiting.ts'
import { readOrderWork } from './modules/orders/work.ts'
import type { SubmitSettle } from './modules/payments/executor.ts'
import { deadOperations } from './modules/payments/service.ts'
import { forgetEvents } from './modules/payments/stripe-store.ts'
import { createRisk, type RiskMetrics } from './modules/risk/service.ts'
import {
  createKeys,
  developmentPrincipals,
  ensureShop,
  onceThere,
  readShop,
  type Shop,
} from './modules/shops/service.ts'
import { closeBalances } from './modules/stock/audit.ts'
import { ensureMainLocation, readLocations } from './modules/stock/reads.ts'
import { deadDeliveries } from './modules/webhooks/dead.ts'
import { keepDeliveries } from './modules/webhooks/housekeeping.ts'
import { postgresBus } from './runtime/bus-postgres.ts'
import { type Clock, systemClock } from './runtime/clock.ts'
import type { Config } from './runtime/config.ts'
import { type LogEvent, newestEventSql } from './runtime/event-log.ts'
import { every, type Recurring } from './runtime/every.ts'
import { noFaults } from './runtime/faults.ts'
import { type Gate, toldDatabase } from './runtime/gate.ts'
import { trimInboxBehindLog } from './runtime/inbox.ts'
import { ensureIncarnation } from './runtime/incarnation.ts'
import type { Log } from './runtime/log.ts'
import { type LogReader, startLogReader } from './runtime/logreader.ts'
import { type Metrics, openMetrics, secondsBuckets, sizeBuckets } from './runtime/metrics.ts'
import { dropEventPartitions, ensureEventPartitions } from './runtime/partitions.ts'
import type { Database } from './runtime/pg.ts'
import { DatabaseUnavailable } from './runtime/pg-failure.ts'
import { createPulseMeter } from './runtime/pulse.ts'
import { release } from './runtime/release.ts'
import { forgetRequestKeys } from './runtime/request-keys.ts'
import { heldWhileFrozen, keepStanding, type Standing } from './runtime/standing.ts'
import type { KeepTopologyOptions, TopologyKeeper } from './runtime/topology.ts'
import { openTracing } from './runtime/tracing.ts'

export type CellParts = { app: FastifyInstance; topology: TopologyKeeper; stop(): Promise<void> }
export type CellDeps = {
  cell: CellName
  database: Database
  config: Pick<Config, 'lanes' | 'profile'> &
    Partial<
      Pick<
        Config,
        | 'batchRowsMax'
        | 'durability'
        | 'standbyRegion'
        | 'onIsolation'
        | 'stripe'
        | 'webhookPorts'
        | 'port'
        | 'httpBetweenCells'
        | 'latencyMs'
        | 'corsOrigins'
        | 'otlpEndpoint'
        | 'traceRatio'
        | 'traceLink'
      >
    >
  log: Log
  clock?: Clock
  /** The topology that counts, given the one that is stored; else the cell keeps what it knows, or is alone. */
  atStart?: KeepTopologyOptions['atStart'] | undefined
  /** By which the other cells know this one; without it, it talks to none. */
  key?: KeyObject
  /** Where a test plays the other cells. */
  routing?: Routing | undefined
  /** It makes the shop and its location `main`, and others receive them from it; as the topology says, unless it is given. */
  isFirst?: boolean
  /** Where the control room was built, if not where npm run build:web puts it. */
  webFolder?: string
  /** Who runs this cell, if somebody does. */
  supervisor?: Supervisor | undefined
}

/** What has to be there before the first command. */
async function prepare(database: Database, cell: CellName, { clock, isFirst }: { clock: Clock; isFirst: boolean }) {
  const lives = await ensureIncarnation(database)
  await ensureEventPartitions(database)
  await makeMonthPartitions(database, clock.now())
  if (isFirst) await ensureMainLocation(database, (await ensureShop(database, cell)).id, cell)
  const findShop = onceThere(async () => {
    const shop = await readShop(database)
    return shop && (await readLocations(database, shop.id)).length > 0 ? shop : undefined
  })
  await findShop() // from then on it is known while the database is away
  const [newest] = await database.query<{ at: Instant }>(newestEventSql)
  return { lives, findShop, startedAt: newest?.at ?? instant(0) }
}

/** What the parts of a cell stand on: the gate, the log's reader behind it, and the database as it is written through the gate. */
async function openGround(deps: CellDeps) {
  const { cell, database: own, config, log, clock = systemClock, atStart } = deps
  const cells = await startCellTopology({ cell, atStart, database: own, config, onError: warn(log, 'topology') })
  const { isFirst = firstCell(cells.topology.current()) === cell } = deps
  const { lives, findShop, startedAt } = await prepare(own, cell, { clock, isFirst })
  const metrics = openMetrics({ fixed: { cell }, process: true })
  const { otlpEndpoint: endpoint, traceRatio: ratio = limits.traceRatio } = config
  const tracing = await openTracing({ endpoint, ratio, cell, clock, metrics, log })
  const standing = await keepStanding({
    ...{ database: own, clock, onError: warn(log, 'standing') },
    onChange: (frozen) =>
      frozen
        ? log.error({ why: frozen.why }, 'frozen: it may have gone back, and sells nothing until holdfast reconcile')
        : log.info('it sells again'),
  })
  const told = [{ labels: { version: release }, value: 1 }]
  metrics.gaugesOf('holdfast_build_info', 'Always 1; its label says which release runs', ['version'], () => told)
  metrics.gaugeOf('holdfast_frozen', '1 while it waits to be reconciled', () => (standing.frozen ? 1 : 0))
  const gating = { cell, topology: cells.topology, database: own, clock, metrics, log, onError: warn(log, 'gate') }
  const { gate, gated: database } = openCellGate(gating)
  const keeping = { cell, topology: cells.topology, database: own, clock, gate, standing }
  const promises = await keepPromises({ ...keeping, onError: warn(log, 'what the topology says') })
  const reading = { database: own, gate, lives, now: clock.elapsedMs, onError: warn(log, 'log reader') }
  const reader = await startLogReader(reading)
  const reports = busReports(metrics, log)
  const bus = postgresBus({ database, reader: heldWhileFrozen(reader, standing), clock, tracing, ...reports })
  const meter = createPulseMeter(clock.elapsedMs)
  const faults = noFaults()
  return {
    cells,
    findShop,
    gate,
    promises,
    startedAt,
    reports,
    standing,
    meter,
    shared: { cell, database, bus, reader, clock, config, metrics, faults, tracing },
  }
}

/** On a migrated database. `app` is ready to listen; `stop` answers what is in flight and closes all but the database. */
export async function buildCell(deps: CellDeps): Promise<CellParts> {
  const { cell, log, key } = deps
  const { cells, findShop, gate, promises, startedAt, reports, standing, meter, shared } = await openGround(deps)
  const { database, bus, reader, clock, metrics } = shared
  const readOrder = createOrderReader(database)
  const waiting = createWaiting(readOrder, reader)
  const objectives = openObjectives(shared)
  let others: Others | undefined
  const isIsolated = watchIsolation({ ...shared, topology: cells.topology }, () => others?.heard)
  const batcher = startBatches({
    ...shared,
    ...{ startedAt, gate, standing, isIsolated },
    onEvents: countEvents(meter),
    onRows: key && ((rows) => others?.sawRows(rows)),
    onCommitted(submissions, outcomes, sinceMs) {
      waiting.saw(outcomes)
      objectives.saw(submissions, outcomes, sinceMs)
      payments.saw(submissions, outcomes, sinceMs)
    },
    ...batchMetrics(metrics, reader, log),
  })
  tellLoad(metrics, { batcher, database, lanes: shared.config.lanes })

  const keys = openKeys(shared, findShop)
  const providers = openProviders(shared)
  const payments = startCellPayments({
    ...shared,
    providers,
    mayCall: () => !standing.frozen,
    shopIds: async () => [await findShop()].flatMap((shop) => shop?.id ?? []),
    newestSeq: () => reader.horizon,
    ...{ commands: batcher, log, onError: warn(log, 'payments') },
  })

  if (key) {
    const told = toldDatabase(database, gate)
    const asked = { standing, told, keys, commands: batcher, reports, onError: warn(log, 'other cells') }
    others = startOthers({ ...shared, ...asked, cells, key, log })
  }
  const audits = startAudits({ ...shared, providers, confirmed: others?.confirmed, watch: objectives.watchAudit })
  bus.consume(fulfilmentConsumer(readOrderWork))
  const webhooks = startCellWebhooks({ ...shared, thawed: standing.thawed, onError: warn(log, 'webhooks') })
  const deadLetters = openDeadLetters(database, cell, settlingThrough(batcher, clock.now))
  const room = openRoom({
    ...{ ...shared, meter, gate, standing, batcher, others, deadLetters, audits },
    ...{ webFolder: deps.webFolder, supervisor: deps.supervisor, onError: warn(log, 'control room') },
  })
  const app = await createApp({
    ...shared,
    ...withOthers(cells, others, deps.routing),
    webhooks,
    commands: others ? { ...batcher, submit: others.submit } : batcher,
    providers: providers.byName,
    testProvider: providers.testProvider,
    stripeWebhooks: providers.stripeWebhooks,
    waiting,
    deadLetters,
    lives: () => reader.lives,
    consumersChanged: () => bus.look(),
    assessOrder: createRisk({ database, clock, assessors: [], metrics: riskMetrics(metrics) }),
    keys,
    log,
    ...room.forApp,
    traffic: countTraffic({ metrics, elapsedMs: clock.elapsedMs, meter, objectives: objectives.counts }),
    requestPrefix: randomBytes(5).toString('hex'),
    unreadyReasons: () => unreadyReasons({ database, gate, standing, clock, isIsolated }, findShop),
    audit: audits.both,
    events: reader,
    objectives: objectives.counts,
  })
  const stopping = new AbortController()
  const work = { batcher, standing, log, audits, signal: stopping.signal }
  const seen = { topology: cells.topology, heard: others?.heard, onError: warn(log, 'objectives') }
  const recurring = [...startRecurring({ ...shared, ...work }), objectives.sample(seen)]

  return {
    app,
    topology: cells.topology,
    async stop() {
      stopping.abort()
      await Promise.all([drainApp(app), ...recurring.map((one) => one.stop())])
      await room.stop()
      await payments.stop()
      await webhooks.stop()
      await others?.stop()
      await bus.close()
      await batcher.stop()
      await reader.stop()
      await Promise.all([promises.stop(), cells.topology.stop()])
      await batcher.closeSessions()
      await gate.stop()
      await standing.stop()
      await shared.tracing?.stop()
    },
  }
}

const withOthers = (
  cells: CellTopology,
  others: Others | undefined,
  played: Routing | undefined,
): Pick<AppOptions, 'cells' | 'routing' | 'several' | 'peers'> => ({
  cells: others ? { ...cells, peers: others.heard, whyNotEmptied: others.whyNotEmptied } : cells,
  routing: others?.routing ?? played,
  several: others?.several,
  peers: others?.peerRoutes,
})

type FindShop = () => Promise<Shop | undefined>

function openKeys(
  { database, config, clock }: Required<Pick<CellDeps, 'database' | 'config' | 'clock'>>,
  findShop: FindShop,
) {
  const isDevelopment = config.profile === 'development'
  return createKeys(database, clock.now, isDevelopment ? developmentPrincipals(findShop) : undefined)
}

/** A database that is gone is told by one line a few seconds apart, not by a stack trace for each try. */
function warn(log: Log, what: string) {
  let quietUntil = 0
  return (err: unknown): void => {
    if (!(err instanceof DatabaseUnavailable)) {
      log.warn({ err }, what)
      return
    }
    const now = performance.now()
    if (now < quietUntil) return
    quietUntil = now + limits.repeatedWarningMs
    log.warn({ code: err.code, why: err.message }, what)
  }
}

function openDeadLetters(database: Database, cell: CellName, submit: SubmitSettle) {
  const operations = operationSource(deadOperations(database, submit), cell)
  return createDeadLetters(database, [
    operations,
    deliverySource(deadDeliveries(database, cell)),
    eventSource(database),
  ])
}

type Ground = { database: Database; gate: Gate; standing: Standing; clock: Clock; isIsolated(): boolean }

async function unreadyReasons(
  { database, gate, standing, clock, isIsolated }: Ground,
  findShop: FindShop,
): Promise<string[]> {
  const found = Promise.all([database.query('select 1'), findShop()]).then(
    ([, shop]) => [
      ...(standing.frozen ? ['frozen'] : []),
      ...(gate.isShut ? ['standby_unreachable'] : []),
      ...(isIsolated() ? ['isolated'] : []),
      ...(shop ? [] : ['shop_not_received']),
    ],
    () => ['database_unreachable'],
  )
  return Promise.race([found, clock.sleep(limits.readyMsMax).then(() => ['database_slow'])])
}

function busReports(metrics: Metrics, log: Log) {
  const warnOfConsumer = warn(log, 'consumer')
  const labels = ['consumer'] as const
  const applied = metrics.counter('holdfast_events_applied_total', 'Events that a consumer has applied', labels)
  const seconds = metrics.histogram(
    'holdfast_consumer_seconds',
    'Time of a transaction in which a consumer applies what it has read',
    secondsBuckets,
    labels,
  )
  const failures = metrics.counter('holdfast_consumer_failures_total', 'Transactions of consumers that failed', labels)
  const givenUp = metrics.counter('holdfast_events_given_up_total', 'Events that stand aside since', labels)
  const told = 'Events that a consumer had applied before and passed over when they came again'
  const repeated = metrics.counter('holdfast_events_repeated_total', told, labels)
  return {
    onError(consumer: string, error: unknown) {
      failures.inc({ consumer })
      warnOfConsumer(error)
    },
    onDelivered(consumer: string, delivered: { applied: number; repeated: number; ms: number }) {
      applied.inc({ consumer }, delivered.applied)
      repeated.inc({ consumer }, delivered.repeated)
      seconds.observe({ consumer }, delivered.ms / 1000)
    },
    onGivenUp(consumer: string, { subject, subjectVersion, type }: LogEvent) {
      givenUp.inc({ consumer })
      log.error({ consumer, subject, subjectVersion, type }, 'an event was given up: see holdfast dead list')
    },
  }
}

type Loaded = { batcher: Pick<Batches, 'load'>; database: Pick<Database, 'load'>; lanes: number }

/** How full what is bounded is. */
function tellLoad(metrics: Metrics, { batcher, database, lanes }: Loaded): void {
  const tell = (name: string, help: string, read: () => number) => metrics.gaugeOf(name, help, read)
  tell('holdfast_queue_rows', 'Rows that queued commands will touch', () => batcher.load().queuedRows)
  tell('holdfast_queue_rows_max', 'Beyond so many, requests are refused', () => limits.queueRowsMax)
  tell('holdfast_commands_in_flight', 'Commands that are queued or being decided', () => batcher.load().inFlight)
  tell('holdfast_lanes', 'Lanes that run batches', () => lanes)
  tell('holdfast_lanes_busy', 'Those of them that run one', () => lanes - batcher.load().idleLanes)
  tell('holdfast_database_reads', 'Reads under way outside the lanes', () => database.load().reads)
  tell('holdfast_database_transactions', 'Transactions under way outside the lanes', () => database.load().transactions)
  tell('holdfast_database_transactions_max', 'At once; others wait', () => limits.databaseTransactionsMax)
  tell('holdfast_database_waiting', 'Transactions that wait for a session', () => database.load().waiting)
}

function batchMetrics(metrics: Metrics, reader: LogReader, log: Log) {
  const warnOfRerun = warn(log, 'a batch is run again')
  const commands = metrics.counter('holdfast_commands_total', 'Commands that batches answered')
  const seconds = metrics.histogram('holdfast_batch_seconds', 'Time of a batch, from locks to commit', secondsBuckets)
  const sizes = metrics.histogram('holdfast_batch_commands', 'Commands in a batch', sizeBuckets)
  const reruns = metrics.counter('holdfast_batch_reruns_total', 'Batches run again', ['why'])
  return {
    onBatch(batch: { commands: number; ms: number }) {
      commands.inc(batch.commands)
      sizes.observe(batch.commands)
      seconds.observe(batch.ms / 1000)
      reader.poke()
    },
    onRerun(why: string, err: unknown) {
      reruns.inc({ why })
      warnOfRerun(err)
    },
  }
}

function riskMetrics(metrics: Metrics): RiskMetrics {
  const assessed = metrics.counter('holdfast_risk_assessments_total', 'Orders that were assessed', ['decision'])
  const failed = metrics.counter('holdfast_risk_failures_total', 'Assessments that were left out', ['who', 'why'])
  return {
    onAssessed: (decision) => assessed.inc({ decision }),
    onFailure: (who, why) => failed.inc({ who, why }),
  }
}

type Recurrence = {
  database: Database
  batcher: { submit(submission: Submission): Promise<CommandOutcome> }
  standing: Pick<Standing, 'frozen'>
  /** Ends long work, which may be gone on with later. */
  signal: AbortSignal
  reader: LogReader
  audits: CellAudits
  log: Log
  clock: Clock
}

function startRecurring(recurrence: Recurrence): Recurring[] {
  const { database, batcher, standing, reader, audits, log, clock, signal } = recurrence
  const eventMsKept = limits.eventDaysKept * 24 * 60 * 60 * 1000
  const regularly = (what: string, work: () => Promise<void>) =>
    every(limits.housekeepingEveryMs, work, warn(log, what))
  return [
    every(
      limits.sweepEveryMs,
      async () => void (standing.frozen || (await sweep(database, batcher.submit, clock.now))),
      warn(log, 'sweep'),
    ),
    ...[audits.units, audits.money].map((auditor) =>
      every(limits.auditEveryMs, async () => void (await auditor.run()), warn(log, 'audit')),
    ),
    // Apart, so that one that fails stops none of the others.
    regularly('webhook deliveries', () => keepDeliveries(database)),
    regularly('key generations', async () => void (await rotateKeys(database))),
    regularly('young keys', async () => void (await carryKeysOver(database, clock, { signal }))),
    regularly('events of Stripe', () => forgetEvents(database, addMs(clock.now(), -limits.stripeEventMsKept))),
    regularly('request keys', () => forgetRequestKeys(database)),
    every(limits.inboxTrimEveryMs, () => trimInboxBehindLog(database), warn(log, 'inbox')),
    regularly('month partitions', () => makeMonthPartitions(database, clock.now())),
    regularly('event partitions', async () => void (await ensureEventPartitions(database))),
    every(
      limits.housekeepingEveryMs,
      async () => {
        // Balances are closed over a partition's events before it goes, since they are then all that is left of them.
        const closedSeqs = [await closeBalances(database, reader.horizon), await closeLedger(database, reader.horizon)]
        const closedSeq = Math.min(...closedSeqs)
        await dropEventPartitions(database, async ({ toSeq, newestAt }) =>
          isOld(newestAt, clock.now(), eventMsKept) ? toSeq <= closedSeq + 1 : false,
        )
      },
      warn(log, 'event retention'),
    ),
  ]
}

const isOld = (newestAt: Instant | undefined, now: Instant, keptMs: number): boolean =>
  newestAt !== undefined && addMs(newestAt, keptMs) < now
