// What is booked by hand, and what the ledger tells. A booking is an event of the log like every other: it is appended, with
// its key, in one transaction, and the consumer makes the entry of it; so the log stays the only source of entries.
import { present } from '../../base/assert.ts'
import { type CellName, type ShopId, toWireId, type Uuid } from '../../base/ids.ts'
import { refusedField } from '../../base/problem.ts'
import { accepted, type Outcome, type Refused, refused, replayed } from '../../base/result.ts'
import { type Instant, toRfc3339 } from '../../base/time.ts'
import type { KeyHashes } from '../../runtime/idempotency.ts'
import { appendEventsParams, appendEventsSql } from '../../runtime/outbox.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import type { Order } from '../orders/types.ts'
import { eventOf, isUnderWay } from './decide.ts'
import type { BookingBody } from './schemas.ts'
import { findBooking, keepBooking, lockReceivable } from './store.ts'
import type { Balance, Booking, StoredEntry } from './types.ts'

export type BookingDeps = {
  cell: CellName
  database: Pick<Database, 'transaction'>
  readOrder(shopId: ShopId, id: Uuid): Promise<Order | undefined>
}

export type BookingRequest = {
  shopId: ShopId
  key: KeyHashes
  orderId: Uuid
  body: BookingBody
  /** Drawn once, kept over reruns. */
  id: Uuid
  eventId: Uuid
  now: Instant
}

/**
 * Refused: `order_not_found`, `currency_mismatch`, `idempotency_key_reused`; of a write-off `payment_in_progress` while money
 * of the order may still move by itself, `ledger_behind`, and `write_off_too_large` beyond what is owed.
 */
export async function book(deps: BookingDeps, request: BookingRequest): Promise<Outcome<Booking>> {
  const { shopId, orderId, key, body } = request
  const order = await deps.readOrder(shopId, orderId)
  if (!order) return refusedField('order_not_found', '/order_id')
  if (order.currency !== body.amount.currency) return refusedField('currency_mismatch', '/amount/currency')
  return deps.database.transaction(async (session) => {
    const earlier = await bookedBefore(session, shopId, key)
    if (earlier) return earlier
    const booking = await bookingOf(session, deps.cell, request, order)
    if ('code' in booking) return booking
    if (await keepBooking(session, key, booking)) {
      await session.run(appendEventsSql, appendEventsParams([eventOf(booking, deps.cell, request.eventId)]))
      return accepted(booking)
    }
    return present(await bookedBefore(session, shopId, key), 'what the key was used for') // by whom we have waited for
  })
}

async function bookedBefore(session: Session, shopId: ShopId, key: KeyHashes): Promise<Outcome<Booking> | undefined> {
  const earlier = await findBooking(session, shopId, key.hash)
  if (!earlier) return undefined
  return earlier.request === key.request ? replayed(earlier.booking) : refused('idempotency_key_reused')
}

async function bookingOf(
  session: Session,
  cell: CellName,
  { shopId, id, now, orderId, body }: BookingRequest,
  order: Order,
): Promise<Booking | Refused> {
  const { kind, reason, amount } = body
  const currency = order.currency
  const booking: Booking = {
    shopId,
    id,
    at: now,
    kind,
    orderId,
    owedBy: null,
    currency,
    amount: amount.amount as Booking['amount'],
    reason,
  }
  if (kind === 'fee') return booking
  if (isUnderWay(order)) return refused('payment_in_progress')
  const receivable = await lockReceivable(session, shopId, orderId, toWireId('ord', cell, orderId))
  if (receivable === undefined) return refused('ledger_behind')
  if (amount.amount > Math.abs(receivable)) return refusedField('write_off_too_large', '/amount/amount')
  return { ...booking, owedBy: receivable > 0 ? 'buyer' : 'shop' }
}

export function bookingJson(
  { id, kind, orderId, owedBy, amount, currency, reason, at }: Booking,
  cell: CellName,
): string {
  const order_id = toWireId('ord', cell, orderId)
  const money = { amount, currency }
  return JSON.stringify({ id, kind, order_id, owed_by: owedBy, amount: money, reason, created_at: toRfc3339(at) })
}

export const balancesJson = (balances: readonly Balance[]): string =>
  JSON.stringify({ data: balances, next_cursor: null })

export function entriesJson(entries: readonly StoredEntry[], next: string | null, cell: CellName): string {
  const data = entries.map(({ seq, line, at, kind, orderId, paymentId, debit, credit, amount, currency }) => ({
    id: `${seq}.${line}`,
    at: toRfc3339(at),
    kind,
    order_id: toWireId('ord', cell, orderId),
    payment_id: paymentId === null ? null : toWireId('pay', cell, paymentId),
    debit,
    credit,
    amount: { amount, currency },
  }))
  return JSON.stringify({ data, next_cursor: next })
}
