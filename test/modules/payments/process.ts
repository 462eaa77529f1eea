// One process's payments on a database of the test's, without loops: tests say when due operations are taken up. And a provider
// that does what it is told.
import type { Uuid } from '../../../src/base/ids.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import { createOrderReader, readOrdersOfSpan } from '../../../src/modules/orders/reads.ts'
import type { Command, CommandOutcome, Order, PlaceOrder } from '../../../src/modules/orders/types.ts'
import { createCalls, observeCalls } from '../../../src/modules/payments/calls.ts'
import { paymentsConsumer } from '../../../src/modules/payments/consumer.ts'
import { createExecutor, type SubmitSettle } from '../../../src/modules/payments/executor.ts'
import { createPrompt } from '../../../src/modules/payments/prompt.ts'
import type { ReconcileParts } from '../../../src/modules/payments/reconcile.ts'
import { createOperationRows, insertOperations, insertTakenBack } from '../../../src/modules/payments/store.ts'
import {
  type Answer,
  type Charge,
  type Operation,
  type Provider,
  TryAgain,
} from '../../../src/modules/payments/types.ts'
import { postgresBus } from '../../../src/runtime/bus-postgres.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { gather } from '../../../src/runtime/gather.ts'
import { ensureIncarnation } from '../../../src/runtime/incarnation.ts'
import { startLogReader } from '../../../src/runtime/logreader.ts'
import { openMetrics } from '../../../src/runtime/metrics.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { newUuid, openEngine, openTestCell, placeOrder, receive, shopId, submission } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'

export type Process = Awaited<ReturnType<typeof openProcess>>

type ProcessOptions = {
  /** For a process that dies before it tells the order. */
  wrap?: (submit: SubmitSettle) => SubmitSettle
  /** Whether attempts to pay are called as soon as their order is placed, and not when they are read from the log. */
  isPrompt?: boolean
}

export async function openProcess(
  database: Database,
  providers: Provider[],
  { wrap = (submit) => submit, isPrompt = false }: ProcessOptions = {},
) {
  const engine = openEngine(database)
  // As in a cell, commands that come together are one batch, and batches of a lane follow each other.
  const run = gather<Command, CommandOutcome>(100, async (commands) => {
    const submissions = commands.map((command) => submission(command, null))
    const sinceMs = systemClock.elapsedMs()
    const outcomes = await engine.run(...submissions)
    prompt.saw(submissions, outcomes, sinceMs)
    return outcomes
  })
  const errors: unknown[] = []
  const byName = new Map(providers.map((one) => [one.name, one]))
  const observed = observeCalls(openMetrics())
  const open = new Set<string>()
  const readOrder = createOrderReader(database)
  const observe = {
    ...observed,
    breaker: (name: string, isOpen: boolean) => void (isOpen ? open.add(name) : open.delete(name)),
  }
  const openExecutor = () =>
    createExecutor({
      rows: createOperationRows(database),
      calls: providers.map((one) => createCalls(one, systemClock.elapsedMs, observe)),
      readOrder,
      submit: wrap(run),
      clock: systemClock,
      chance: () => 0,
      onError: (error) => void errors.push(error),
    })
  const executor = openExecutor()
  const prompt = createPrompt({ executor: isPrompt ? executor : { ...executor, room: () => 0 }, clock: systemClock })
  const lives = await ensureIncarnation(database)
  const reader = await startLogReader({ database, lives, now: Date.now, pollMs: 10, onError: () => {} })
  const bus = postgresBus({ database, reader, clock: systemClock, onError: (_, error) => void errors.push(error) })
  const parts: ReconcileParts = {
    database,
    providers: byName,
    submit: run,
    readOrder,
    readOrders: readOrdersOfSpan(database),
  }
  return {
    executor,
    errors,
    /** Providers that are left alone. */
    open,
    parts,
    run,
    /** With another executor, a process that dies once the row is committed. */
    consume: (by: Pick<typeof executor, 'room' | 'carryOut' | 'leave'> = executor) =>
      bus.consume(
        paymentsConsumer({
          executor: by,
          prompt,
          insert: insertOperations,
          insertTakenBack,
          readOrder,
          clock: systemClock,
          newestSeq: () => reader.horizon,
        }),
      ),
    /** Everything that is due and can be done now. */
    async takeDue() {
      const once = openExecutor()
      await once.takeDue()
      await once.stop()
    },
    order: async (id: Uuid): Promise<Order> => (await readOrder(shopId, id))!,
    async stop() {
      await bus.close()
      await executor.stop()
      await reader.stop()
      await engine.close()
    },
  }
}

/** A cell with stock, a provider of the test's own, and one process. */
export async function openBank(options: ProcessOptions = {}) {
  const database = await openTestCell()
  const bank = scriptedProvider('bank')
  const process = await openProcess(database, [bank.provider], options)
  await stock(process)
  const close = async (): Promise<void> => {
    await process.stop()
    await database.close()
  }
  return { database, bank, process, close }
}

export const deadBeforeCall = { room: () => 10, carryOut: () => {}, leave: () => {} }

async function stock(process: Pick<Process, 'run'>): Promise<void> {
  await process.run(receive({ A: 1_000 }))
}

/** An order of 1000 minor units, and its attempt to pay. */
export async function placeWith(
  process: Pick<Process, 'run'>,
  provider: string,
  method = 'tok_ok',
  more: Partial<PlaceOrder> = {},
): Promise<Order> {
  const outcome = await process.run(placeOrder({ A: 2 }, { payment: { id: newUuid(), provider, method }, ...more }))
  if (!outcome.ok || outcome.value.kind !== 'order') throw new Error(JSON.stringify(outcome))
  return outcome.value.order
}

export const operationsOf = (database: Database) =>
  database.query<{ id: Uuid; kind: string; state: string; tries: number; last_error: string | null }>(
    'select id, kind, state, tries, last_error from payments.operations order by asked_at, id',
  )

/** As if so much time had passed since then: leases are over, and what is asked is that old. */
export async function age(database: Database, ms: number): Promise<void> {
  await database.transaction(async (session) => {
    for (const sql of [
      "update payments.operations set due_at = due_at - $1 * interval '1 millisecond', asked_at = asked_at - $1 * interval '1 millisecond'",
      "update runtime.events set at = at - $1 * interval '1 millisecond'",
    ]) {
      await session.run(sql, [ms])
    }
  })
}

export async function whenOrder(process: Process, id: Uuid, is: (order: Order) => boolean): Promise<Order> {
  let order: Order | undefined
  await eventually(async () => {
    order = await process.order(id)
    return is(order)
  })
  return order!
}

type Script = (operation: Operation, signal: AbortSignal) => Promise<Answer>

/** Keeps its charges and its answers by key, as a provider does; `next` is what happens instead, call by call. */
export function scriptedProvider(name = 'scripted') {
  const charges = new Map<Uuid, Charge>()
  const answers = new Map<Uuid, Answer>()
  const calls: string[] = []
  let next: Script[] = []
  let always: Script | undefined

  function perform(operation: Operation): Answer {
    const earlier = answers.get(operation.id)
    if (earlier) return earlier
    const answer = apply(operation)
    answers.set(operation.id, answer)
    return answer
  }

  function apply({ kind, paymentId, orderId, amount, currency, capture }: Operation): Answer {
    const reference = `ref ${paymentId}`
    if (kind === 'authorize') {
      const status = capture === 'now' ? 'captured' : 'authorized'
      const captured = (capture === 'now' ? amount : 0) as MinorUnits
      const refunded = 0 as MinorUnits
      charges.set(paymentId, { id: reference, orderId, paymentId, amount, currency, captured, refunded, status })
      return { says: status, reference, amount }
    }
    const charge = charges.get(paymentId)!
    if (kind === 'capture') charges.set(paymentId, { ...charge, captured: amount, status: 'captured' })
    if (kind === 'void') charges.set(paymentId, { ...charge, status: 'voided' })
    if (kind === 'refund')
      charges.set(paymentId, { ...charge, refunded: (charge.refunded + amount) as MinorUnits, status: 'refunded' })
    return { says: kind === 'refund' ? 'refunded' : kind === 'void' ? 'voided' : 'captured', reference, amount }
  }

  const provider: Provider = {
    name,
    callsMax: 8,
    accepts: () => true,
    async perform(operation, signal) {
      calls.push(`send ${operation.kind}`)
      const script = next.shift() ?? always
      return script ? script(operation, signal) : perform(operation)
    },
    async lookUp(operation) {
      calls.push(`look up ${operation.kind}`)
      return answers.get(operation.id) ?? 'never_heard'
    },
    charges: async ({ orderId }) => [...charges.values()].filter((one) => orderId === null || one.orderId === orderId),
  }
  return {
    provider,
    calls,
    charges,
    perform,
    /** The next calls of `perform` go so. */
    script(...scripts: Script[]): void {
      next = scripts
    },
    always(script: Script | undefined): void {
      always = script
    },
    chargesOf: (orderId: Uuid) => [...charges.values()].filter((one) => one.orderId === orderId),
  }
}

export const fails: Script = async () => {
  throw new Error('connection lost')
}
export const declines: Script = async () => ({ says: 'failed', error: 'card_declined' })
export const triesAgain: Script = async () => {
  throw new TryAgain('429')
}
