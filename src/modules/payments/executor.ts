// Carries operations out: a call, then the order is told, then the row goes. Each of the three may be the last thing a process
// does: what was not answered is asked after by whoever takes the row next, and an order may be told twice.
import type { ShopId, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Span } from '../../runtime/tracing.ts'
import type { CommandOutcome, Order, Settle, Settlement } from '../orders/types.ts'
import type { Calls } from './calls.ts'
import {
  afterAnswer,
  afterGivingUp,
  begun,
  nextStep,
  type Step,
  type TrackedOperation,
  whenUnwanted,
} from './decide.ts'
import type { Book, DueOperation, OperationRows } from './store.ts'
import type { Provider } from './types.ts'

export type Providers = ReadonlyMap<string, Provider>

/** Tells an order what its provider says. */
export type SubmitSettle = (command: Settle) => Promise<CommandOutcome>

export type ExecutorOptions = {
  rows: OperationRows
  /** Those whose operations are carried out here. */
  calls: readonly Calls[]
  submit: SubmitSettle
  readOrder: (shopId: ShopId, id: Uuid) => Promise<Order | undefined>
  clock: Clock
  /** 0 ≤ x < 1 */
  chance: () => number
  onError: (error: unknown) => void
}

export type Executor = {
  /** How many operations may be leased for this provider now, and handed to `carryOut`. */
  room(provider: string): number
  /** Of operations that are leased, and whose call is to be made now. `leasedAtMs`: on the clock that never goes back. */
  carryOut(operations: readonly Planned[], leasedAtMs: number): void
  /** Where the ends of operations with rows are written. */
  readonly rows: Book
  /** Rows are left unsent for want of room: they are taken up as soon as half of it is free, and not at the next turn. */
  leave(): void
  /** Takes up what is due, and nobody else is at. */
  takeDue(): Promise<void>
  /** Lets what is in flight end within its time. */
  stop(): Promise<void>
}

export type Planned = {
  operation: TrackedOperation
  step: Step
  /** Some time after it was asked for: its order may want it no longer. */
  isAgain?: boolean
  /** Where its end is written, if not in its row. */
  book?: Book
  /** Of the request that asked for it, where that is sampled. */
  span?: Span | null | undefined
}

export function createExecutor(options: ExecutorOptions): Executor {
  const { rows, clock, onError } = options
  const lanes = new Map(options.calls.map((one) => [one.provider.name, one]))
  const inFlight = new Set<Promise<void>>()
  let stopping = false
  let isLeft = false

  function carryOut(operations: readonly Planned[], leasedAtMs: number): void {
    for (const planned of operations) {
      const lane = lanes.get(planned.operation.provider)
      if (!lane) continue
      const running: Promise<void> = carryOutOne(options, lane, planned, leasedAtMs)
        .catch(onError) // its lease runs out, and somebody looks again
        .finally(() => {
          inFlight.delete(running)
          planned.book?.ended?.()
          if (isLeft && lane.isHalfFree()) takeWhatIsLeft()
        })
      inFlight.add(running)
    }
  }

  function takeWhatIsLeft(): void {
    isLeft = false
    takeDue().catch(onError)
  }

  async function takeDue(): Promise<void> {
    await Promise.all([...lanes.values()].map(takeDueOf))
  }

  async function takeDueOf(lane: Calls): Promise<void> {
    for (;;) {
      const limit = Math.min(lane.room(), limits.operationsPerStatementMax)
      if (limit === 0 || stopping) return
      const leasedAtMs = clock.elapsedMs()
      const planned = await rows.leaseDue({ provider: lane.provider.name, limit }, planOf)
      if (stopping) return // leased for nothing: it is looked up when the lease has run out
      carryOut(
        planned.map(({ step, ...operation }) => ({ operation, step, isAgain: true })),
        leasedAtMs,
      )
      if (planned.length < limit) return
      isLeft = true // there may be more than there was room for
    }
  }

  return {
    room: (provider) => (stopping ? 0 : (lanes.get(provider)?.room() ?? 0)),
    carryOut,
    rows,
    leave() {
      isLeft = true
    },
    takeDue,
    async stop() {
      stopping = true
      const ended = new AbortController()
      void clock.sleep(limits.providerCallMsMax, ended.signal).then(() => {
        for (const lane of lanes.values()) lane.abort()
      })
      while (inFlight.size > 0) await Promise.all(inFlight)
      ended.abort()
    },
  }
}

function planOf(due: DueOperation): DueOperation & { step: Step } {
  const step = nextStep(due, due.now)
  const leased = begun(due, step === 'send' ? 'send' : 'look_up', due.now)
  return { ...leased, step }
}

async function carryOutOne(parts: ExecutorOptions, lane: Calls, planned: Planned, leasedAtMs: number): Promise<void> {
  const { clock, chance, rows } = parts
  const { operation, step, isAgain = false, book = rows } = planned
  const endsAtMs = leasedAtMs + limits.operationLeaseMs
  if (step === 'give_up') {
    const given = afterGivingUp(operation)
    return conclude(parts, { ...given, error: null, refused: false, endsAtMs, book })
  }
  if (step === 'send' && isAgain) {
    const unwanted = whenUnwanted(operation, await parts.readOrder(operation.shopId, operation.orderId))
    if (unwanted) return conclude(parts, { ...unwanted, error: null, refused: false, endsAtMs, book })
  }
  // `wait` is for clocks that disagree: asking does no harm.
  const call = step === 'send' ? 'send' : 'look_up'
  const isOver = () => clock.elapsedMs() > endsAtMs - 2 * limits.providerCallMsMax
  const result = await lane.call(operation, call, isOver, planned.span)
  if (result === 'late') return
  const { heard, error } = result
  const refused = typeof heard === 'object' && heard.says === 'failed'
  const after = afterAnswer(operation, heard, clock.now(), chance())
  return conclude(parts, { ...after, error: refused ? heard.error : error, refused, endsAtMs, book })
}

type Conclusion = {
  operation: TrackedOperation
  settlement: Settlement | null
  error: string | null
  refused: boolean
  /** Of the lease. */
  endsAtMs: number
  book: Book
}

/** The order first: a row that goes too early would leave nobody to tell it. */
async function conclude(parts: ExecutorOptions, conclusion: Conclusion): Promise<void> {
  const { operation, settlement, error, refused, endsAtMs, book } = conclusion
  const told = settlement ? await tell(parts, operation, settlement, endsAtMs) : 'told'
  if (told === 'later') return
  const dead = told === 'told' ? operation.state === 'dead' : true
  if (!dead && operation.state === 'settled') {
    await book.remove(operation)
    return
  }
  await book.keep({
    operation: dead ? { ...operation, state: 'dead' } : operation,
    dueInMs: Math.max(0, operation.nextAt - parts.clock.now()),
    error: told === 'told' ? error : told,
    refused,
  })
}

/** `told`, the code with which the order refused to hear it, or `later` when the engine takes nothing now. */
async function tell(
  { submit, clock, chance, onError }: ExecutorOptions,
  { shopId, orderId }: TrackedOperation,
  settlement: Settlement,
  endsAtMs: number,
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      const outcome = await submit({ kind: 'settle', shopId, orderId, settlement })
      return outcome.ok ? 'told' : outcome.code
    } catch (error) {
      if (attempt >= limits.settleTriesMax || clock.elapsedMs() > endsAtMs) {
        onError(error)
        return 'later'
      }
      await clock.sleep(chance() * 2 ** attempt * limits.settlePauseMs)
    }
  }
}
