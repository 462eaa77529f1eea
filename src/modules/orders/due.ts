// When time has a say in an order. Each order has one due time, in its row; whoever sweeps takes what is due, skips what
// another process has locked, and writes the next due time with what it has decided: so each is done once, after any restart.
import { addMs, type Instant } from '../../base/time.ts'
import { defaultTiming, type Life, type Payment, type Timing } from './life.ts'
import { isUnderWay } from './money.ts'
import { hasShipped } from './parcels.ts'
import type { Order } from './types.ts'

export const timingOf = ({ timing }: Pick<Life, 'timing'>): Timing => timing ?? defaultTiming

/** What is due next, null when nothing is. Null, too, while a provider has the next word. */
export function dueAt(order: Pick<Order, 'status' | 'life' | 'expiresAt'>): Instant | null {
  const { status, life } = order
  if (status === 'cancelled' || status === 'completed') return null
  if (life === null) return status === 'pending' ? order.expiresAt : null
  let due = isWaitingForPayment(order) ? (life.reservedUntil ?? order.expiresAt) : null
  for (const payment of life.payments) {
    const at = paymentDueAt(order, life, payment)
    if (at !== null && (due === null || at < due)) due = at
  }
  return due
}

const isWaitingForPayment = ({ status, life }: Pick<Order, 'status' | 'life'>): boolean =>
  status === 'pending' && !(life?.payments.some(isUnderWay) ?? false)

/** Money that is set aside, and that nothing has been asked of: its deadline, or its end where nothing can be done before. */
function paymentDueAt({ status }: Pick<Order, 'status'>, life: Life, payment: Payment): Instant | null {
  if (!isIdle(payment) || payment.authorizedUntil === undefined || payment.givenUp === 'void') return null
  const canAct = mayCancelAtDeadline(status, life) || mayCaptureAtDeadline(status, life, payment)
  return canAct ? deadlineOf(life, payment.authorizedUntil) : payment.authorizedUntil
}

const isIdle = ({ status, asked }: Payment): boolean => status === 'authorized' && asked === null

const deadlineOf = (life: Life, authorizedUntil: Instant): Instant =>
  addMs(authorizedUntil, -timingOf(life).captureLeadMs)

const isPastDeadline = (life: Life, { authorizedUntil }: Payment, now: Instant): boolean =>
  authorizedUntil !== undefined && deadlineOf(life, authorizedUntil) <= now

/** What was shipped cannot be cancelled: it is captured. */
const mayCancelAtDeadline = (status: Order['status'], life: Life): boolean =>
  timingOf(life).atCaptureDeadline === 'cancel' &&
  (status === 'confirmed' || status === 'in_review') &&
  !hasShipped(life)

const mayCaptureAtDeadline = (status: Order['status'], life: Life, { givenUp }: Payment): boolean =>
  timingOf(life).atCaptureDeadline === 'capture' && status === 'confirmed' && givenUp !== 'capture'

/** Its buyer was given all the time that there is. */
export function isToBeCancelled(order: Pick<Order, 'status' | 'life' | 'expiresAt'>, now: Instant): boolean {
  const { status, life, expiresAt } = order
  if (isWaitingForPayment(order)) {
    const end = life?.reservedUntil ?? expiresAt
    return end !== null && end <= now
  }
  if (life === null || !mayCancelAtDeadline(status, life)) return false
  return life.payments.some((payment) => isIdle(payment) && isPastDeadline(life, payment, now))
}

/** The money of an order that was not shipped yet is taken at its deadline all the same. */
export const isCaptureDue = ({ status }: Pick<Order, 'status'>, life: Life, payment: Payment, now: Instant): boolean =>
  mayCaptureAtDeadline(status, life, payment) && isPastDeadline(life, payment, now)

/** Its authorization is over, whatever the provider still thinks of it. */
export const hasRunOut = (payment: Payment, now: Instant): boolean =>
  isIdle(payment) &&
  payment.givenUp !== 'void' &&
  payment.authorizedUntil !== undefined &&
  payment.authorizedUntil <= now
