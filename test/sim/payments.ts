// The payments of a cell: a table of operations, filled by a consumer of the log in the transaction of its inbox, and workers
// in the processes that carry them out as src/modules/payments/executor.ts does. Every decision is payments/decide.ts's own.
import type { Uuid } from '../../src/base/ids.ts'
import type { Prng } from '../../src/base/prng.ts'
import type { Instant } from '../../src/base/time.ts'
import type { Payment } from '../../src/modules/orders/life.ts'
import type { LoggedEvent, MemoryDatabase } from '../../src/modules/orders/memory-database.ts'
import type { Order, Settlement } from '../../src/modules/orders/types.ts'
import type { Heard, Step, TrackedOperation } from '../../src/modules/payments/decide.ts'
import type { Operation } from '../../src/modules/payments/types.ts'
import type { LogEvent } from '../../src/runtime/event-log.ts'
import type { Auditor } from './auditor.ts'
import type { Network } from './network.ts'
import type { Provider } from './provider.ts'
import type { Scheduler } from './scheduler.ts'
import type { System } from './system.ts'

type Due = { operation: TrackedOperation; step: Step; at: Instant }

/** Rows of operations. What one call does is one transaction. */
export function createOperations(system: System, database: MemoryDatabase, random: Prng) {
  const rows = new Map<Uuid, TrackedOperation & { refused?: boolean }>()
  const kinds = new Set([
    'payment.requested',
    'payment.capture_requested',
    'payment.void_requested',
    'payment.refund_requested',
  ])

  function operationIn(event: LoggedEvent): Operation {
    const eventId = `00000000-0000-7000-8000-${String(event.seq).padStart(12, '0')}` as Uuid
    const logged: LogEvent = { ...event, eventId, data: JSON.stringify(event.data) }
    return system.operationOf(logged)
  }

  /** From the log; what an old event asked for is taken up only if its order still waits for it. */
  function insert(event: LoggedEvent, now: Instant, freshMsMax: number): void {
    if (event.type === 'payment.refund_failed' && event.data.taken_back !== undefined) insertTakenBack(event, now)
    if (!kinds.has(event.type)) return
    const operation = operationIn(event)
    const isOld = now - operation.askedAt > freshMsMax
    if (isOld && !system.isStillAsked(database.tables.orders.get(operation.orderId), operation)) return
    if (!rows.has(operation.id))
      rows.set(operation.id, { ...operation, state: isOld ? 'unknown' : 'unsent', tries: 0, nextAt: now })
  }

  /** It stands in the dead letters, where somebody makes it again under another key. */
  function insertTakenBack(event: LoggedEvent, now: Instant): void {
    const operation = operationIn({ ...event, type: 'payment.refund_requested' })
    const id = `00000000-0000-7000-9000-${String(event.seq).padStart(12, '0')}` as Uuid
    if (rows.has(id)) return
    rows.set(id, { ...operation, id, refundId: operation.id, state: 'dead', refused: true, tries: 0, nextAt: now })
  }

  function leaseDue(now: Instant): Due[] {
    return [...rows.values()].flatMap((row) => {
      const step = system.nextStep(row, now)
      if (step === 'wait' || random.chance(0.2)) return []
      const operation = system.begun(row, step === 'send' ? 'send' : 'look_up', now)
      rows.set(row.id, operation)
      return [{ operation, step, at: now }]
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
    insert,
    leaseDue,
    /** An attempt that nobody is at, to be asked after. */
    ask({ shopId, id: orderId, currency }: Order, payment: Payment, now: Instant): void {
      const { id, provider, amount, method, capture, reference, openedAt: askedAt } = payment
      const what = { shopId, orderId, currency, kind: 'authorize', id, paymentId: id } as const
      const progress = { state: 'unknown', tries: 0, nextAt: now } as const
      rows.set(id, { ...what, provider, amount, method, capture, reference, askedAt, ...progress })
    },
    remove: (id: Uuid) => void rows.delete(id),
    /** Whoever took it up since has more tries. */
    keep(operation: TrackedOperation, refused: boolean): void {
      const row = rows.get(operation.id)
      if (row && row.tries === operation.tries && row.state !== 'dead') rows.set(row.id, { ...operation, refused })
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

export type WorkerWorld = {
  system: System
  scheduler: Scheduler
  operations: Operations
  provider: Provider
  network: Network
  auditor: Auditor
  clock(): Instant
  /** Passes time, and never ends in a process that was killed. */
  sleep(ms: number): Promise<void>
  settle(
    operation: Pick<TrackedOperation, 'shopId' | 'orderId'>,
    settlement: Settlement,
  ): Promise<'told' | 'refused' | 'later'>
  trace(line: () => string): void
}

const pollMs = 150
const patienceMs = 600

/** Takes up what is due, again and again, until its process is killed. */
export async function runWorker(world: WorkerWorld, random: Prng): Promise<void> {
  for (;;) {
    await world.sleep(pollMs * random.next())
    for (const due of world.operations.leaseDue(world.clock())) carryOut(world, due, random).catch(world.auditor.failed)
  }
}

async function carryOut(world: WorkerWorld, due: Due, random: Prng) {
  const { system, auditor, clock, sleep, trace } = world
  const { operation, step } = due
  await sleep(random.next())
  trace(() => `payments: ${step} ${operation.kind} ${operation.id} try ${operation.tries}`)
  if (step === 'give_up') return conclude(world, system.afterGivingUp(operation), false)
  auditor.money.calling(operation, step === 'send' ? 'send' : 'look_up', due.at)
  const heard = await call(world, operation, step)
  await sleep(random.next())
  trace(() => `payments: ${operation.kind} ${operation.id} hears ${typeof heard === 'string' ? heard : heard.says}`)
  const refused = typeof heard === 'object' && heard.says === 'failed'
  return conclude(world, system.afterAnswer(operation, heard, clock(), random.next()), refused)
}

function call({ scheduler, network, provider, auditor, sleep }: WorkerWorld, operation: TrackedOperation, step: Step) {
  return new Promise<Heard>((resolve) => {
    scheduler.after(patienceMs, () => resolve('unknown'))
    network.send(() => {
      const answer = (heard: Heard) => network.send(() => resolve(heard))
      if (step === 'send') provider.perform(operation, answer)
      else answer(provider.lookUp(operation))
    })
  }).then(async (heard) => {
    await sleep(0)
    auditor.money.heard(operation, heard)
    return heard
  })
}

/** The order first: a row that goes too early would leave nobody to tell it. */
async function conclude(
  { operations, settle, sleep }: WorkerWorld,
  { operation, settlement }: { operation: TrackedOperation; settlement: Settlement | null },
  refused: boolean,
): Promise<void> {
  const told = settlement ? await settle(operation, settlement) : 'told'
  await sleep(0.2)
  if (told === 'later') return
  if (told === 'told' && operation.state === 'settled') operations.remove(operation.id)
  else operations.keep(told === 'told' ? operation : { ...operation, state: 'dead' }, refused)
}

/** Compares the provider's list with the orders, as `holdfast reconcile` does. Answers how much there was to put right. */
export async function reconcile(world: WorkerWorld, database: MemoryDatabase): Promise<number> {
  const { system, operations, provider, settle, clock } = world
  const charges = provider.list()
  const underWay = new Set(
    [...operations.rows.values()].flatMap(({ paymentId, state }) => (state === 'dead' ? [] : [paymentId])),
  )
  let putRight = 0
  for (const order of [...database.tables.orders.values()]) {
    for (const payment of order.life?.payments ?? []) {
      if (payment.provider !== 'model' || underWay.has(payment.id)) continue
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
