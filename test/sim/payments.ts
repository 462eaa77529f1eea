// The payments of a cell: the real executor, prompt and consumer of every process, on a table of operations in memory and a
// provider that is reached through the network. A process is killed at any of their steps.
import type { Uuid } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import type { Prng } from '../../src/base/prng.ts'
import { addMs, type Instant } from '../../src/base/time.ts'
import type { Payment } from '../../src/modules/orders/life.ts'
import type { LoggedEvent, MemoryDatabase } from '../../src/modules/orders/memory-database.ts'
import type { CommandOutcome, Order, Settle, Settlement } from '../../src/modules/orders/types.ts'
import type { Calls } from '../../src/modules/payments/calls.ts'
import type { Heard, TrackedOperation } from '../../src/modules/payments/decide.ts'
import type { Prompt } from '../../src/modules/payments/prompt.ts'
import type { Kept, OperationRows } from '../../src/modules/payments/store.ts'
import type { Operation } from '../../src/modules/payments/types.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { LogEvent } from '../../src/runtime/event-log.ts'
import type { Session } from '../../src/runtime/pg-session.ts'
import type { Auditor } from './auditor.ts'
import type { Network } from './network.ts'
import type { Plan } from './plan.ts'
import type { Provider } from './provider.ts'
import type { Scheduler } from './scheduler.ts'
import type { System } from './system.ts'

/** Rows of operations. What one call does is one transaction. */
export function createOperations(system: System, database: MemoryDatabase, random: Prng) {
  const rows = new Map<Uuid, TrackedOperation & { refused?: boolean }>()

  function leaseDue<T extends TrackedOperation>(
    now: Instant,
    limit: number,
    plan: (due: TrackedOperation & { now: Instant }) => T,
  ): T[] {
    const due = [...rows.values()].filter(({ state, nextAt }) => state !== 'dead' && nextAt <= now)
    const taken = due.filter(() => !random.chance(0.2)).slice(0, limit)
    return taken.map((row) => {
      const planned = plan({ ...row, now })
      rows.set(row.id, { ...row, state: planned.state, tries: planned.tries, nextAt: planned.nextAt })
      return planned
    })
  }

  /** What the order still waits for; a refund that failed is still due. */
  function isOwed(row: TrackedOperation): boolean {
    const order = database.tables.orders.get(row.orderId)
    const refundId = row.refundId ?? row.id
    return row.kind === 'refund'
      ? (order?.life?.refunds.some(({ id, status }) => id === refundId && status !== 'refunded') ?? false)
      : system.isStillAsked(order, row)
  }

  return {
    rows,
    leaseDue,
    /** Those of them that are not there. */
    missing: (operations: readonly TrackedOperation[]) => operations.filter(({ id }) => !rows.has(id)),
    insert(operations: readonly TrackedOperation[]): void {
      for (const operation of operations) if (!rows.has(operation.id)) rows.set(operation.id, operation)
    },
    /** An attempt that nobody is at, to be asked after. */
    ask({ shopId, id: orderId, currency }: Order, payment: Payment, now: Instant): void {
      const { id, provider, amount, method, capture, reference, openedAt: askedAt } = payment
      const what = { shopId, orderId, currency, kind: 'authorize', id, paymentId: id } as const
      const progress = { state: 'unknown', tries: 0, nextAt: now } as const
      rows.set(id, { ...what, provider, amount, method, capture, reference, askedAt, ...progress })
    },
    /** Once, and not beside one that somebody has made again. */
    insertTakenBack(operation: Operation, now: Instant): void {
      if ([...rows.values()].some(({ id, refundId }) => (refundId ?? id) === operation.refundId)) return
      rows.set(operation.id, { ...operation, state: 'dead', refused: true, tries: 0, nextAt: now })
    },
    remove: (id: Uuid) => void rows.delete(id),
    /** Whoever took it up since has more tries. */
    keep({ operation, dueInMs, refused }: Kept, now: Instant): void {
      const { id, state, tries, reference } = operation
      const row = rows.get(id)
      if (row?.tries !== tries || row.state === 'dead') return
      rows.set(id, { ...row, state, reference, refused, nextAt: addMs(now, dueInMs) })
    },
    /** Somebody drops one that is dead, and no refund: whose money is owed is not forgotten here. */
    dead: (): TrackedOperation[] =>
      [...rows.values()].filter(({ state, kind }) => state === 'dead' && kind !== 'refund'),
    isIdle: () => [...rows.values()].every(({ state }) => state === 'dead'),
    /** Somebody sees to the dead letters: under another key where the provider has refused the old one. */
    retryDead(now: Instant, newId: () => Uuid): number {
      const dead = [...rows.values()].filter(({ state }) => state === 'dead')
      for (const row of dead) {
        rows.delete(row.id)
        if (!isOwed(row)) continue
        const id = row.refused ? newId() : row.id
        const refundId = row.kind === 'refund' ? (row.refundId ?? row.id) : null
        const state = row.refused ? 'unsent' : 'unknown'
        rows.set(id, { ...row, id, refundId, state, refused: false, tries: 0, askedAt: now, nextAt: now })
      }
      return dead.length
    },
  }
}

export type Operations = ReturnType<typeof createOperations>

export type PaymentsWorld = {
  system: System
  scheduler: Scheduler
  plan: Plan
  database: MemoryDatabase
  operations: Operations
  provider: Provider
  network: Network
  auditor: Auditor
  clock(): Instant
  /** Where the consumer stands, for all processes together. */
  position: { seq: number; settled: number }
  trace(line: () => string): void
}

/** One process's part. Whatever it awaits never ends once it is killed. */
export type PayingProcess = {
  /** Whether it reads the log; one at a time does. */
  consumes: boolean
  sleep(ms: number): Promise<void>
  submit(command: Settle): Promise<CommandOutcome>
  /** Of what is thrown, whether the engine takes nothing just now. */
  isNotNow(error: unknown): boolean
}

const pollMs = 150
const patienceMs = 600
const pageMax = 5

export function startPayments(world: PaymentsWorld, process: PayingProcess, random: Prng): Pick<Prompt, 'saw'> {
  const { system, scheduler, database, auditor } = world
  const clock: Clock = {
    now: world.clock,
    elapsedMs: scheduler.now,
    sleep: (ms, signal) => Promise.race([process.sleep(ms), ...(signal ? [aborted(signal)] : [])]),
  }
  const onError = (error: unknown) => void (process.isNotNow(error) || auditor.failed(error))
  const readOrder = async (_: unknown, id: Uuid) => {
    await process.sleep(random.next())
    return database.tables.orders.get(id)
  }
  const executor = system.createExecutor({
    rows: rowsFor(world, process, random.fork()),
    calls: [callsOf(world, process)],
    submit: process.submit,
    readOrder,
    clock,
    chance: () => random.next(),
    onError,
  })
  const prompt = system.createPrompt({ executor, clock })
  const consumer = system.paymentsConsumer({
    ...{ executor, prompt, insert, insertTakenBack, readOrder, clock },
    newestSeq: () => world.position.settled,
  })
  void takeDueAgainAndAgain()
  if (process.consumes) void readLog(world, process, consumer, random.fork()).catch(auditor.failed)
  return prompt

  async function takeDueAgainAndAgain(): Promise<void> {
    for (;;) {
      await process.sleep(pollMs * random.next())
      await executor.takeDue().catch(onError)
    }
  }

  async function insertTakenBack(session: Session, operation: Operation): Promise<void> {
    ;(session as unknown as Staged).takenBack.push(operation)
  }

  /** Seen by others when the consumer's transaction commits. */
  async function insert(session: Session, inserted: readonly TrackedOperation[]): Promise<Set<Uuid>> {
    const missing = world.operations.missing(inserted)
    ;(session as unknown as Staged).operations.push(...missing)
    return new Set(missing.map(({ id }) => id))
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve()))

/** Statements of one process on the table; each takes a while. */
function rowsFor({ operations, clock }: PaymentsWorld, { sleep }: PayingProcess, random: Prng): OperationRows {
  return {
    async leaseDue({ limit }, plan) {
      await sleep(random.next())
      const planned = operations.leaseDue(clock(), limit, plan)
      await sleep(random.next())
      return planned
    },
    async remove({ id }) {
      await sleep(random.next())
      operations.remove(id)
    },
    async keep(kept) {
      await sleep(random.next())
      operations.keep(kept, clock())
    },
  }
}

/** Calls through the network, with little room. */
function callsOf({ scheduler, network, provider, auditor, trace }: PaymentsWorld, { sleep }: PayingProcess): Calls {
  const roomMax = 2
  let busy = 0
  return {
    provider: { name: 'model' } as Calls['provider'],
    room: () => Math.max(0, roomMax - busy),
    isHalfFree: () => busy <= roomMax / 2,
    async call(operation, step) {
      busy++
      trace(() => `payments: ${step} ${operation.kind} ${operation.id} try ${operation.tries}`)
      auditor.money.calling(operation, step, addMs(operation.nextAt, -limits.operationLeaseMs))
      const heard = await new Promise<Heard>((resolve) => {
        scheduler.after(patienceMs, () => resolve('unknown'))
        network.send(() => {
          const answer = (said: Heard) => network.send(() => resolve(said))
          if (step === 'send') provider.perform(operation, answer)
          else answer(provider.lookUp(operation))
        })
      })
      await sleep(0)
      busy--
      auditor.money.heard(operation, heard)
      trace(() => `payments: ${operation.kind} ${operation.id} hears ${typeof heard === 'string' ? heard : heard.says}`)
      return { heard, error: null }
    },
    abort: () => {},
  }
}

type Staged = { operations: TrackedOperation[]; takenBack: Operation[] }

/** In pages, in which events stand twice; it crashes before, in and behind its transaction, and is rewound. */
async function readLog(
  { system, plan, database, operations, position, clock, trace }: PaymentsWorld,
  process: PayingProcess,
  consumer: ReturnType<System['paymentsConsumer']>,
  random: Prng,
): Promise<void> {
  const pause = () => process.sleep(0.1 + random.next())
  const crashes = () => random.chance(plan.consumerCrash)
  const signal = new AbortController().signal
  for (;;) {
    await process.sleep(pollMs * random.next())
    if (random.chance(plan.consumerCrash / 10)) {
      trace(() => `payments: the consumer is rewound from ${position.seq}`)
      position.seq = random.between(0, position.seq)
    }
    const last = await system.settledUpTo(database, pause)
    position.settled = last
    while (position.seq < last) {
      const from = position.seq
      const page = database.tables.events.filter(({ seq }) => seq > from && seq <= last).slice(0, pageMax)
      const wanted = page.filter(({ type }) => consumer.types!.names.has(type)).map(asLogEvent)
      const events = wanted.flatMap((event) => (random.chance(plan.eventDoubled) ? [event, event] : [event]))
      if (events.length > 0) await consumer.ready!(events, signal)
      if (crashes()) break
      const staged: Staged = { operations: [], takenBack: [] }
      await consumer.apply(staged as unknown as Session, events)
      if (crashes()) break
      await pause()
      operations.insert(staged.operations)
      for (const operation of staged.takenBack) operations.insertTakenBack(operation, clock())
      position.seq = page.at(-1)?.seq ?? last
      if (crashes()) break
      consumer.applied!(events)
    }
  }
}

const asLogEvent = (event: LoggedEvent): LogEvent => ({
  ...event,
  eventId: `00000000-0000-7000-8000-${String(event.seq).padStart(12, '0')}` as Uuid,
  data: JSON.stringify(event.data),
})

export type ReconcileWorld = Pick<PaymentsWorld, 'system' | 'operations' | 'provider' | 'clock'> & {
  settle(of: { shopId: Order['shopId']; orderId: Uuid }, settlement: Settlement): Promise<unknown>
}

/** Compares the provider's list with the orders, as `holdfast reconcile` does. Answers how much there was to put right. */
export async function reconcile(world: ReconcileWorld, database: MemoryDatabase): Promise<number> {
  const { system, operations, provider, settle, clock } = world
  const charges = provider.list()
  const underWay = new Set(
    [...operations.rows.values()].flatMap(({ paymentId, state }) => (state === 'dead' ? [] : [paymentId])),
  )
  let putRight = 0
  for (const order of [...database.tables.orders.values()]) {
    for (const payment of order.life?.payments ?? []) {
      const isYoung = clock() - payment.openedAt <= limits.promptMsMax
      if (payment.provider !== 'model' || underWay.has(payment.id) || isYoung) continue
      const charge = charges.find(({ paymentId }) => paymentId === payment.id)
      const verdict = system.verdictOf(order, payment, charge)
      if (verdict.is !== 'equal') putRight++
      if (verdict.is === 'asked') operations.ask(order, payment, clock())
      if (verdict.is === 'told')
        for (const settlement of verdict.settlements)
          await settle({ shopId: order.shopId, orderId: order.id }, settlement)
    }
  }
  return putRight
}
