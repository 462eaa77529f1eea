// What an event of the log books. Pure, and a function of the event alone, so that the ledger can be made again from the log.
import { type CellName, parseWireId, toWireId, type Uuid } from '../../base/ids.ts'
import type { Currency, MinorUnits } from '../../base/money.ts'
import type { NewEvent } from '../../runtime/outbox.ts'
import type { Order } from '../orders/types.ts'
import type { Account, Booking, Entry } from './types.ts'

/** All that the ledger reads of an event's data. */
type Told = {
  order_id?: string
  payment_id?: string
  provider?: string
  currency?: Currency
  amount?: number
  /** Of a sale that was booked, and is taken back. */
  credited?: number
  /** Of an authorization that begins or ends with this event; nothing when the money was taken at once. */
  authorized?: number
  /** Of a refund that had been made, and failed all the same. */
  taken_back?: number
  kind?: string
  owed_by?: string
}

type Line = { line: number; debit: Account; credit: Account; amount: number | undefined }

/** Each type that books something, and what. Lines keep their numbers whichever others there are. */
const bookings: Record<string, (data: Told) => Line[]> = {
  'order.confirmed': ({ amount, provider }) => [
    { line: 1, debit: 'receivable', credit: 'sales', amount },
    { line: 2, debit: 'external', credit: 'receivable', amount: provider === 'none' ? amount : 0 },
  ],
  'order.cancelled': takeBack,
  'order.lines_cancelled': takeBack,
  'order.credited': takeBack,
  'return.received': takeBack,
  'payment.authorized': ({ authorized, provider }) => [
    { line: 1, debit: `authorized:${provider}`, credit: 'authorizations', amount: authorized },
  ],
  'payment.voided': (data) => [endAuthorization(data)],
  'payment.failed': (data) => [endAuthorization(data)],
  'payment.captured': (data) => [
    endAuthorization(data),
    { line: 2, debit: accountOf(data), credit: 'receivable', amount: data.amount },
  ],
  'payment.refunded': (data) => [{ line: 1, debit: 'receivable', credit: accountOf(data), amount: data.amount }],
  'order.unpaid': takeBack,
  'payment.refund_failed': ({ taken_back, provider }) => [
    { line: 1, debit: `taken_back:${provider}`, credit: 'receivable', amount: taken_back },
  ],
  'ledger.booked': ({ kind, owed_by, amount }) => {
    if (kind === 'fee') return [{ line: 1, debit: 'fees', credit: 'payable', amount }]
    return owed_by === 'buyer'
      ? [{ line: 1, debit: 'written_off', credit: 'receivable', amount }]
      : [{ line: 1, debit: 'receivable', credit: 'written_off', amount }]
  },
}

/** Types of events that the ledger reads. */
export const bookedTypes: readonly string[] = Object.keys(bookings)

function takeBack({ credited }: Told): Line[] {
  return [{ line: 1, debit: 'sales', credit: 'receivable', amount: credited }]
}

const endAuthorization = ({ authorized, provider }: Told): Line => ({
  line: 1,
  debit: 'authorizations',
  credit: `authorized:${provider}`,
  amount: authorized,
})

/** Where the money of a payment lies. */
const accountOf = ({ provider }: Told): Account => (provider === 'none' ? 'external' : `provider:${provider}`)

/** What the event books; nothing where no money is told of. */
export function entriesOf(type: string, data: Told): Entry[] {
  const entries: Entry[] = []
  for (const { amount = 0, ...line } of bookings[type]?.(data) ?? []) {
    if (amount === 0) continue
    const orderId = idOf(data.order_id)
    if (orderId === null || data.currency === undefined) throw new Error(`an event ${type} names no order or currency`)
    const paymentId = idOf(data.payment_id)
    entries.push({ ...line, orderId, paymentId, currency: data.currency, amount: amount as MinorUnits })
  }
  return entries
}

const idOf = (text: string | undefined): Uuid | null => (text === undefined ? null : (parseWireId(text)?.uuid ?? null))

/** The event of what is booked by hand: a subject of its own, since no order changes. */
export function eventOf(booking: Booking, cell: CellName, eventId: Uuid): NewEvent {
  const { shopId, id, at, kind, orderId, owedBy, amount, currency, reason } = booking
  const order_id = toWireId('ord', cell, orderId)
  const owed_by = owedBy ?? undefined
  return {
    shopId,
    eventId,
    subject: `ledger:${id}`,
    subjectVersion: 1,
    type: 'ledger.booked',
    at,
    data: { order_id, kind, owed_by, amount, currency, reason },
    moves: [],
  }
}

/** Money of the order may still move by itself. */
export function isUnderWay({ status, life }: Pick<Order, 'status' | 'life'>): boolean {
  if (status === 'pending' || status === 'in_review') return true
  if (life === null) return false
  const open = ['pending', 'requires_action', 'authorized']
  return life.payments.some((one) => open.includes(one.status)) || life.refunds.some((one) => one.status !== 'refunded')
}
