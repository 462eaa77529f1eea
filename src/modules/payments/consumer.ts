// From the order's wish to an operation: a row for each, in the transaction that moves on in the log, and then the call at once
// in this process; no row for an attempt to pay that was called and answered before (prompt.ts). What an event of some time ago
// asked for may have been done: it is only taken up if the order still waits for it, and then asked after before it is sent. So
// the log may be read again from its start.
import { present } from '../../base/assert.ts'
import { parseWireId, type ShopId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Currency, MinorUnits } from '../../base/money.ts'
import type { Instant } from '../../base/time.ts'
import type { Consumer } from '../../runtime/bus.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import type { Session } from '../../runtime/pg-session.ts'
import type { Order } from '../orders/types.ts'
import { begun, isStillAsked, nextStep, type TrackedOperation } from './decide.ts'
import type { Executor, Planned } from './executor.ts'
import type { Prompt } from './prompt.ts'
import type { Operation, OperationKind } from './types.ts'

const kinds: Record<string, OperationKind> = {
  'payment.requested': 'authorize',
  'payment.capture_requested': 'capture',
  'payment.void_requested': 'void',
  'payment.refund_requested': 'refund',
  'payment.refund_failed': 'refund',
}

/** Asks for nothing: a refund failed that was never made, which stands among the operations, or one that had been made. */
const failedRefund = 'payment.refund_failed'

export type ConsumerOptions = {
  executor: Pick<Executor, 'room' | 'carryOut' | 'leave'>
  prompt: Pick<Prompt, 'find' | 'forget'>
  /** Answers the ids of those that were not there. */
  insert: (session: Session, operations: readonly TrackedOperation[], now: Instant) => Promise<Set<Uuid>>
  /** A dead letter of a refund that was taken back, unless somebody has begun to make it again. */
  insertTakenBack: (session: Session, operation: Operation, error: string) => Promise<unknown>
  readOrder: (shopId: ShopId, id: Uuid) => Promise<Order | undefined>
  clock: Pick<Clock, 'now' | 'elapsedMs' | 'sleep'>
  /** The newest event that can be read now. */
  newestSeq: () => number
}

export function paymentsConsumer(options: ConsumerOptions): Consumer {
  const { executor, prompt, insert, readOrder, clock } = options
  /** Whatever other processes placed up to here had its time. */
  let waitedUpTo = 0
  let leased: { operations: Planned[]; atMs: number; isMore: boolean } = { operations: [], atMs: 0, isMore: false }

  return {
    name: 'payments',
    lingerMs: limits.paymentsLingerMs,
    isRepeatable: true, // what an order no longer waits for is not taken up, and providers know our keys
    types: { names: new Set(Object.keys(kinds)), nouns: new Set() },
    async ready(events, signal) {
      if (events.at(-1)!.seq <= waitedUpTo) return
      const newest = options.newestSeq()
      if (await untilPrompted(operationsOf(events), options, signal)) waitedUpTo = newest
    },
    async apply(session, events) {
      const now = clock.now()
      leased = { operations: [], atMs: clock.elapsedMs(), isMore: false }
      for (const event of events.filter(isTakenBack)) await keepTakenBack(options, session, event)
      const asked = await whatIsLeft(operationsOf(events), { prompt, readOrder, now })
      const planned = plan(asked, executor, now)
      if (planned.length === 0) return
      const inserted = await insert(
        session,
        planned.map(({ operation }) => operation),
        now,
      )
      leased.operations = planned.filter(({ operation, step }) => step === 'send' && inserted.has(operation.id))
      leased.isMore = leased.operations.length < inserted.size
    },
    applied(events) {
      for (const { id } of operationsOf(events)) prompt.forget(id)
      executor.carryOut(leased.operations, leased.atMs)
      if (leased.isMore) executor.leave()
    },
  }
}

const isTakenBack = ({ type, data }: LogEvent): boolean =>
  type === failedRefund && (JSON.parse(data) as AskedData).taken_back !== undefined

/** Its money is here again, and owed: it stands in the dead letters until somebody makes it again, under another key. */
async function keepTakenBack(options: ConsumerOptions, session: Session, event: LogEvent): Promise<void> {
  const operation = operationOf(event)
  const order = await options.readOrder(operation.shopId, operation.orderId)
  const refund = order?.life?.refunds.find(({ id }) => id === operation.id)
  if (refund?.status !== 'failed') return
  const refundId = operation.id
  await options.insertTakenBack(session, { ...operation, id: event.eventId, refundId }, refund.error ?? 'taken_back')
}

/**
 * Most calls that were made at once are answered soon, and the wait for the others has an end. What another process placed is
 * left to it for as long, which it measures from before its COMMIT: by no clock that could be set. Answers whether it was.
 */
async function untilPrompted(
  operations: readonly Operation[],
  { prompt, readOrder, clock }: ConsumerOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const own: Promise<void>[] = []
  let waitMs = 0
  const others: Operation[] = []
  for (const operation of operations) {
    if (operation.kind !== 'authorize') continue
    const prompted = prompt.find(operation.id)
    if (!prompted) others.push(operation)
    if (prompted?.state !== 'under_way') continue
    waitMs = Math.max(waitMs, prompted.sinceMs + limits.promptMsMax - clock.elapsedMs())
    own.push(prompted.done)
  }
  const open = await Promise.all(others.map(async (one) => isPending(await readOrder(one.shopId, one.orderId), one)))
  if (open.includes(true)) await clock.sleep(limits.promptMsMax, signal)
  else if (waitMs > 0) await within(waitMs, Promise.all(own), clock, signal)
  return open.includes(true)
}

/** One that asks something of its buyer has been called. */
const isPending = (order: Order | undefined, { paymentId }: Operation): boolean =>
  order?.life?.payments.some(({ id, status }) => id === paymentId && status === 'pending') ?? false

async function within(ms: number, work: Promise<unknown>, clock: Pick<Clock, 'sleep'>, signal: AbortSignal) {
  const ended = new AbortController()
  await Promise.race([work, clock.sleep(ms, AbortSignal.any([signal, ended.signal]))])
  ended.abort()
}

/** What needs a row: what was called at once as it has been left, the rest as it is asked for, if it is asked for still. */
async function whatIsLeft(
  operations: readonly Operation[],
  { prompt, readOrder, now }: Pick<ConsumerOptions, 'prompt' | 'readOrder'> & { now: Instant },
): Promise<TrackedOperation[]> {
  const left = await Promise.all(
    operations.map(async (operation): Promise<TrackedOperation | null> => {
      const prompted = prompt.find(operation.id)
      if (prompted?.state === 'settled') return null
      if (prompted) {
        prompted.handOver()
        return prompted.operation
      }
      if (!mayBeAnswered(operation, now)) return { ...operation, state: 'unsent', tries: 0, nextAt: now }
      if (!isStillAsked(await readOrder(operation.shopId, operation.orderId), operation)) return null
      return { ...operation, state: 'unknown', tries: 0, nextAt: now }
    }),
  )
  return left.filter((one) => one !== null)
}

/** An attempt of another process may have been called by it at once. */
const mayBeAnswered = ({ kind, askedAt }: Operation, now: Instant): boolean =>
  kind === 'authorize' || now - askedAt > limits.operationFreshMsMax

/** New ones are sent at once, as far as there is room; the others are taken up when they are due, with whatever else is. */
function plan(operations: readonly TrackedOperation[], executor: Pick<Executor, 'room'>, now: Instant): Planned[] {
  const room = new Map<string, number>()
  return operations.map((operation) => {
    const left = room.get(operation.provider) ?? executor.room(operation.provider)
    const isToBeSent = operation.state === 'unsent' && nextStep(operation, now) === 'send'
    if (!isToBeSent || left === 0) return { operation, step: 'wait' }
    room.set(operation.provider, left - 1)
    return { operation: begun(operation, 'send', now), step: 'send' }
  })
}

type AskedData = {
  order_id: string
  payment_id: string
  refund_id?: string
  provider: string
  amount: number
  currency: string
  method?: string
  capture?: 'now' | 'later'
  reference?: string | null
  taken_back?: number
}

/** Of a page, each once. The same page is asked for three times. */
function operationsOf(events: readonly LogEvent[]): Operation[] {
  const known = parsedPages.get(events)
  if (known) return known
  const asking = events.filter(({ type }) => type !== failedRefund).map(operationOf)
  const operations = [...new Map(asking.map((one) => [one.id, one])).values()]
  parsedPages.set(events, operations)
  return operations
}

const parsedPages = new WeakMap<readonly LogEvent[], Operation[]>()

/** Captures and voids have no id of their own in the order: the event's is theirs, whenever it is read. */
export function operationOf(event: LogEvent): Operation {
  const kind = present(kinds[event.type], `an operation for ${event.type}`)
  const data = JSON.parse(event.data) as AskedData
  const uuidOf = (id: string): Uuid => present(parseWireId(id), `an id in ${id}`).uuid
  const paymentId = uuidOf(data.payment_id)
  return {
    shopId: event.shopId as ShopId,
    id: kind === 'authorize' ? paymentId : data.refund_id === undefined ? event.eventId : uuidOf(data.refund_id),
    kind,
    provider: data.provider,
    orderId: uuidOf(data.order_id),
    paymentId,
    amount: data.amount as MinorUnits,
    currency: data.currency as Currency,
    method: data.method ?? '',
    capture: data.capture ?? 'now',
    reference: data.reference ?? null,
    askedAt: event.at,
  }
}
