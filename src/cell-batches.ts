// The engine of a cell behind its queue, and the gate behind its commits: a batch commits locally and its lane goes on, while
// its answers, and whoever acts on what it committed, wait until that may leave the cell.
import type { CellName, ShopId } from './base/ids.ts'
import { limits } from './base/limits.ts'
import type { Instant } from './base/time.ts'
import { mayBeOpen, type PromisesOptions } from './cell-promises.ts'
import { keyOf } from './modules/orders/batch-state.ts'
import { createEngine, type EngineOptions, type EngineStore, rowsOf } from './modules/orders/engine.ts'
import { createPostgresStore, type OpenLane } from './modules/orders/engine-postgres.ts'
import { tracedStore } from './modules/orders/engine-traced.ts'
import { findKeys } from './modules/orders/key-tables.ts'
import type { CommandOutcome, Submission } from './modules/orders/types.ts'
import { type BatcherOptions, type BatchTime, createBatcher } from './runtime/batch.ts'
import type { Clock } from './runtime/clock.ts'
import type { Config } from './runtime/config.ts'
import { changingGate, type Gate, GateShut, gatedDatabase, startGate } from './runtime/gate.ts'
import type { ServerLife } from './runtime/gate-state.ts'
import { gather } from './runtime/gather.ts'
import type { Log } from './runtime/log.ts'
import type { Metrics } from './runtime/metrics.ts'
import type { Database } from './runtime/pg.ts'
import { failureClass } from './runtime/pg-failure.ts'
import { CellFrozen, CellIsolated, type Standing } from './runtime/standing.ts'
import { type Span, type Tracing, within, wordOf } from './runtime/tracing.ts'

export type CellGateOptions = {
  database: Database
  clock: Clock
  metrics: Metrics
  log: Pick<Log, 'info' | 'error'>
  onError: (error: unknown) => void
} & Pick<PromisesOptions, 'cell' | 'topology'>

/** The gate, open until it is set, and the database as everything uses it that tells others what it has written. */
export function openCellGate({ cell, topology, database, clock, metrics, log, onError }: CellGateOptions) {
  const begin = () =>
    startGate({
      database,
      clock,
      onError,
      onChange: (isShut) =>
        isShut
          ? log.error('the standby is out of reach: nothing new is taken until it is back')
          : log.info('the standby has what was committed: the gate is open'),
    })
  const gate = changingGate({ begin, mayBeOpen: () => mayBeOpen(topology, cell), look: topology.look })
  metrics.gaugeOf('holdfast_gate_shut', '1 while the standby is out of reach', () => (gate.isShut ? 1 : 0))
  return { gate, gated: gatedDatabase(database, gate) }
}

export type BatchesOptions = Pick<BatcherOptions<Submission, CommandOutcome>, 'onBatch' | 'onRerun'> & {
  cell: CellName
  database: Pick<Database, 'openSession' | 'transaction'>
  config: Pick<Config, 'lanes'> & Partial<Pick<Config, 'batchRowsMax'>>
  clock: Clock
  /** The newest time that an event of the log has. */
  startedAt: Instant
  gate: Gate
  standing: Pick<Standing, 'frozen' | 'look'>
  tracing?: Tracing | null
  /** It hears no other cell, and is to sell nothing then. */
  isIsolated(): boolean
  /** Told of all rows of a SKU of which some have changed. */
  onRows?: EngineOptions['onRows']
  /** Told of all that was appended to the log. */
  onEvents?: EngineOptions['onEvents']
  /** Told of every batch that may leave. `sinceMs`: when it began, on the clock that never goes back. */
  onCommitted(submissions: readonly Submission[], outcomes: readonly CommandOutcome[], sinceMs: number): void
  /** The simulator's is in memory, and its time its own. */
  createStore?: (openLane: OpenLane) => EngineStore & { close(): Promise<void> }
  afterArrivals?: BatchTime['afterArrivals']
}

/** What others remember is taken over; nothing else is done while a cell is frozen. */
const isForFrozen = ({ command }: Submission): boolean =>
  command.kind === 'receive_units' || command.kind === 'remember_sent'

/** What takes units for somebody. What was sold goes on being paid, shipped, cancelled. */
const selling = new Set<Submission['command']['kind']>(['place_order', 'place_hold', 'exchange_order', 'edit_order'])

export type Batches = ReturnType<typeof startBatches>

export function startBatches(options: BatchesOptions) {
  const {
    cell,
    database,
    config,
    clock,
    gate,
    standing,
    isIsolated,
    startedAt,
    onRows,
    onEvents,
    onCommitted,
    ...more
  } = options
  const { createStore = createPostgresStore, afterArrivals = setImmediate, tracing = null, ...told } = more
  const lives = new Map<number, ServerLife>()
  /** Whether what the lane runs now may be done while the cell is frozen. */
  const mending = new Map<number, boolean>()
  const store = createStore(async (lane) => {
    const session = await database.openSession(`lane ${lane}`)
    try {
      await standing.look() // the server may be another, which has lost something
      if (standing.frozen && !mending.get(lane)) throw new CellFrozen(false)
    } catch (error) {
      await session.close()
      throw error
    }
    lives.set(lane, session.life)
    return session
  })
  const known = gather(limits.keysLookedUpMax, async (keys: readonly { shopId: ShopId; hash: string }[]) => {
    const found = new Set((await findKeys(database, keys)).map(({ shopId, hash }) => keyOf(shopId, hash)))
    return keys.map(({ shopId, hash }) => found.has(keyOf(shopId, hash)))
  })
  /** Whether it was done before, so that it is only told again. */
  const isKnown = async ({ key, command }: Submission): Promise<boolean> =>
    key !== null && 'shopId' in command && known({ shopId: command.shopId, hash: key.hash })
  /** Of what the lane runs now, if that is sampled. */
  const spans = new Map<number, Span>()
  const traced = tracing ? tracedStore(store, (lane) => spans.get(lane)) : store
  const engine = createEngine(traced, { cell, startedAt, onRows, onEvents })
  async function runBatch(lane: number, submissions: readonly Submission[], onWriting: () => void) {
    const sinceMs = clock.elapsedMs()
    mending.set(lane, submissions.every(isForFrozen))
    if (standing.frozen && !mending.get(lane)) throw new CellFrozen(false)
    const outcomes = await engine.run(lane, submissions, onWriting)
    const leave = (): void => onCommitted(submissions, outcomes, sinceMs)
    if (!gate.isOpen) return { outcomes, mayLeave: gate.pass(lives.get(lane)!).then(leave) }
    leave()
    return outcomes
  }

  const batcher = createBatcher<Submission, CommandOutcome>({
    lanes: config.lanes,
    batchRowsMax: config.batchRowsMax,
    async run(lane, submissions, onWriting) {
      const span = tracing && batchSpan(tracing, submissions, lane)
      if (!span) return runBatch(lane, submissions, onWriting)
      spans.set(lane, span)
      try {
        const ran = await runBatch(lane, submissions, onWriting)
        if (Array.isArray(ran)) span.end()
        else
          within(span.child('gate'), () => ran.mayLeave).then(
            () => span.end(),
            () => span.end('gate'),
          )
        return ran
      } catch (error) {
        span.end(wordOf(error))
        throw error
      } finally {
        spans.delete(lane)
      }
    },
    rowsOf,
    keyOf: ({ key, command }) => (key && 'shopId' in command ? keyOf(command.shopId, key.hash) : null),
    deadlineOf: ({ deadline }) => deadline,
    failureClass,
    time: { now: clock.now, sleep: clock.sleep, afterArrivals },
    ...told,
  })
  return {
    ...batcher,
    /** Refused while nothing could be answered that it does. */
    async submit(submission: Submission): Promise<CommandOutcome> {
      if (standing.frozen && !isForFrozen(submission)) throw new CellFrozen(false)
      if (gate.isShut) throw new GateShut('the standby is out of reach', false)
      const isSale = selling.has(submission.command.kind)
      if (isSale && isIsolated() && !(await isKnown(submission))) throw new CellIsolated()
      return batcher.submit(submission)
    },
    closeSessions: store.close,
  }
}

/** It belongs to none of the traces of its commands, and links to all of them; null where none is sampled. */
function batchSpan(tracing: Tracing, submissions: readonly Submission[], lane: number): Span | null {
  const spans = new Set<Span>()
  for (const { span } of submissions) if (span) spans.add(span)
  if (spans.size === 0) return null
  const batch = tracing.join('batch', [...spans], {
    'holdfast.commands': submissions.length,
    'holdfast.lane': lane,
  })
  for (const span of spans) span.set({ 'holdfast.batch_trace_id': batch.traceId }) // links lead one way only
  return batch
}
