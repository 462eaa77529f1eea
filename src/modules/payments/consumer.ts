// From the order's wish to an operation: a row for each, in the transaction that remembers the event, and then the call at once
// in this process. What an event of some time ago asked for may have been done: it is only taken up if the order still waits
// for it, and then asked after before it is sent. So the log may be read again from its start.
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
  readOrder: (shopId: ShopId, id: Uuid) => Promise<Order | undefined>
  clock: Pick<Clock, 'now' | 'elapsedMs'>
}

export function paymentsConsumer({ executor, readOrder, clock }: ConsumerOptions): Consumer {
  let leased: { operations: Planned[]; atMs: number; isMore: boolean } = { operations: [], atMs: 0, isMore: false }

  return {
    name: 'payments',
    isRepeatable: true, // what an order no longer waits for is not taken up, and providers know our keys
    types: { names: new Set(Object.keys(kinds)), nouns: new Set() },
    async apply(session, events) {
      const now = clock.now()
      leased = { operations: [], atMs: clock.elapsedMs(), isMore: false }
      const asked = await stillAsked(events.map(operationOf), readOrder, now)
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
    applied() {
      executor.carryOut(leased.operations, leased.atMs)
      if (leased.isMore) executor.leave()
    },
  }
}

const isOld = ({ askedAt }: Operation, now: Instant): boolean => now - askedAt > limits.operationFreshMsMax

async function stillAsked(
  operations: readonly Operation[],
  readOrder: ConsumerOptions['readOrder'],
  now: Instant,
): Promise<Operation[]> {
  const asked = await Promise.all(
    operations.map(async (one) => !isOld(one, now) || isStillAsked(await readOrder(one.shopId, one.orderId), one)),
  )
  return operations.filter((_, index) => asked[index])
}

/** New ones are sent at once, as far as there is room; the others are due, and taken up with whatever else is. */
function plan(operations: readonly Operation[], executor: Pick<Executor, 'room'>, now: Instant): Planned[] {
  const room = new Map<string, number>()
  return operations.map((one) => {
    const operation: TrackedOperation = { ...one, state: isOld(one, now) ? 'unknown' : 'unsent', tries: 0, nextAt: now }
    const left = room.get(one.provider) ?? executor.room(one.provider)
    if (operation.state === 'unknown' || left === 0) return { operation, step: 'wait' }
    room.set(one.provider, left - 1)
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
