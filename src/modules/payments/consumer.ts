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
import type { Order } from '../orders/types.ts'
import { begun, isStillAsked, type TrackedOperation } from './decide.ts'
import type { Executor, Planned } from './executor.ts'
import type { Prompt } from './prompt.ts'
import { insertOperations } from './store.ts'
import type { Operation, OperationKind } from './types.ts'

const kinds: Record<string, OperationKind> = {
  'payment.requested': 'authorize',
  'payment.capture_requested': 'capture',
  'payment.void_requested': 'void',
  'payment.refund_requested': 'refund',
}

export type ConsumerOptions = {
  executor: Pick<Executor, 'room' | 'carryOut' | 'leave'>
  prompt: Pick<Prompt, 'find' | 'forget'>
  readOrder: (shopId: ShopId, id: Uuid) => Promise<Order | undefined>
  clock: Pick<Clock, 'now' | 'elapsedMs' | 'sleep'>
}

export function paymentsConsumer({ executor, prompt, readOrder, clock }: ConsumerOptions): Consumer {
  let leased: { operations: Planned[]; atMs: number; isMore: boolean } = { operations: [], atMs: 0, isMore: false }

  return {
    name: 'payments',
    isRepeatable: true, // what an order no longer waits for is not taken up, and providers know our keys
    types: { names: new Set(Object.keys(kinds)), nouns: new Set() },
    ready: (events, signal) => untilPrompted(events.map(operationOf), prompt, clock, signal),
    async apply(session, events) {
      const now = clock.now()
      leased = { operations: [], atMs: clock.elapsedMs(), isMore: false }
      const asked = await whatIsLeft(events.map(operationOf), { prompt, readOrder, now })
      const planned = plan(asked, executor, now)
      if (planned.length === 0) return
      const inserted = await insertOperations(
        session,
        planned.map(({ operation }) => operation),
        now,
      )
      leased.operations = planned.filter(({ operation, step }) => step === 'send' && inserted.has(operation.id))
      leased.isMore = leased.operations.length < inserted.size
    },
    applied(events) {
      for (const event of events) prompt.forget(operationOf(event).id)
      executor.carryOut(leased.operations, leased.atMs)
      if (leased.isMore) executor.leave()
    },
  }
}

/** Most calls that were made at once are answered soon, here or in another process; the wait for the others has an end. */
async function untilPrompted(
  operations: readonly Operation[],
  prompt: ConsumerOptions['prompt'],
  clock: ConsumerOptions['clock'],
  signal: AbortSignal,
): Promise<void> {
  const now = clock.now()
  const underWay: Promise<void>[] = []
  let waitMs = 0
  for (const { id, kind, askedAt } of operations) {
    if (kind !== 'authorize') continue
    const prompted = prompt.find(id)
    if (prompted && prompted.state !== 'under_way') continue
    const ageMs = prompted ? clock.elapsedMs() - prompted.sinceMs : now - askedAt
    if (ageMs >= limits.promptMsMax) continue
    waitMs = Math.max(waitMs, Math.min(limits.promptMsMax, limits.promptMsMax - ageMs))
    underWay.push(prompted ? prompted.done : clock.sleep(limits.promptMsMax - ageMs, signal))
  }
  if (waitMs === 0) return
  const ended = new AbortController()
  await Promise.race([Promise.all(underWay), clock.sleep(waitMs, AbortSignal.any([signal, ended.signal]))])
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
    if (operation.state !== 'unsent' || left === 0) return { operation, step: 'wait' }
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
}

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
