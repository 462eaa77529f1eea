// What units of an order cost, and whose money is whose. Nothing here rounds twice: the price of the first k of n units is
// the line's amount × k / n, rounded down, and that of the others is what is left.
import type { MinorUnits } from '../../base/money.ts'
import type { Life, Payment, Refund } from './life.ts'
import type { PaymentStatus } from './states.ts'
import type { Order } from './types.ts'

/** The price of the first `units` of a line. */
export function priceOf(line: { amount: number; quantity: number }, units: number): number {
  if (units === line.quantity) return line.amount
  const product = line.amount * units
  if (Number.isSafeInteger(product)) return Math.floor(product / line.quantity)
  return Number((BigInt(line.amount) * BigInt(units)) / BigInt(line.quantity))
}

/** What the order costs as it stands: nothing when it is cancelled. */
export function costOf(order: Pick<Order, 'status' | 'total' | 'life'>): number {
  return order.status === 'cancelled' ? 0 : order.total - (order.life?.credited ?? 0)
}

/** Money that we have, and that is not on its way back. */
export function heldOf({ payments, refunds }: Pick<Life, 'payments' | 'refunds'>): number {
  return sum(payments, (payment) => payment.captured) - sum(refunds, (refund) => refund.amount)
}

/** What is left of a payment that could go back. */
export const refundableOf = (payment: Payment, refunds: readonly Refund[]): number =>
  payment.captured - sum(refunds, (refund) => (refund.paymentId === payment.id ? refund.amount : 0))

/** Money that a provider has set aside for us. */
export const authorizedOf = ({ payments }: Pick<Life, 'payments'>): number =>
  sum(payments, (payment) => (isSetAside(payment) ? payment.amount : 0))

/** Not what is on its way back, nor what nobody could give back and the provider lets go by itself. */
const isSetAside = ({ status, asked, givenUp }: Payment): boolean =>
  status === 'authorized' && asked !== 'void' && givenUp !== 'void'

/** Its end may still take money, or tell that it was taken: no second attempt may begin beside it. */
export const isOpen = ({ status, asked, givenUp }: Payment): boolean =>
  status === 'pending' ||
  status === 'requires_action' ||
  (status === 'authorized' && (asked !== null || givenUp === 'capture'))

/** The provider has the next word, and its order keeps its units until then. */
export const isUnderWay = (payment: Payment): boolean => payment.status === 'pending' || isSetAside(payment)

/**
 * Whether it is confirmed, or money was ever set aside or taken for it. While an order stands this never turns false again, whatever
 * becomes of the money: cells that settle which of two orders stands rely on what they have heard of it.
 */
export const wasPaid = (order: Order): boolean =>
  (order.status !== 'pending' && order.status !== 'cancelled') ||
  lifeOf(order).payments.some(({ status, authorizedUntil }) => status === 'captured' || authorizedUntil !== undefined)

/** How an order does beside another of the same key: one that has given way, or was reported, does not stand. */
export type Standing = { stands: boolean; isPaid: boolean }

export const standingOf = (order: Order | undefined): Standing => ({
  stands: order !== undefined && order.status !== 'cancelled' && order.life?.supersededBy === undefined,
  isPaid: order !== undefined && wasPaid(order),
})

/** The order's payment in one word, as API.md tells it. */
export function paymentStatusOf(order: Order): PaymentStatus | 'none' | 'partially_refunded' | 'refunded' {
  const { payments, refunds } = lifeOf(order)
  const captured = sum(payments, (payment) => payment.captured)
  if (captured > 0) {
    const back = sum(refunds, (refund) => (refund.status === 'refunded' ? refund.amount : 0))
    if (back === 0) return 'captured'
    return back < captured ? 'partially_refunded' : 'refunded'
  }
  const best = payments.find((payment) => payment.status === 'authorized') ?? payments.at(-1)
  return best?.status ?? 'none'
}

/** What has happened to an order so far. One that was paid elsewhere has a payment of that kind, taken when it was confirmed. */
export function lifeOf(order: Order): Life {
  if (order.life) return order.life
  return order.provider === 'none' ? { ...emptyLife, payments: [paidElsewhere(order)] } : emptyLife
}

const paidElsewhere = (order: Order): Payment => ({
  id: order.id,
  provider: 'none',
  method: '',
  amount: order.total,
  capture: 'now',
  status: 'captured',
  captured: order.total,
  asked: null,
  reference: null,
  error: null,
  nextAction: null,
  openedAt: order.placedAt,
})

export const emptyLife: Life = {
  captureRule: 'now',
  review: null,
  riskReasons: [],
  reservedUntil: null,
  payments: [],
  refunds: [],
  shipments: [],
  returns: [],
  open: null,
  creditedUnits: [],
  credited: 0 as MinorUnits,
}

function sum<T>(items: readonly T[], amountOf: (item: T) => number): number {
  let total = 0
  for (const item of items) total += amountOf(item)
  return total
}
