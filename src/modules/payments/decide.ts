// What to do next about an operation, and what an answer makes of it. Pure: the shell claims rows, calls and writes. The rules:
// a row says that a call may have begun before it begins; what may have been done is asked after, never done again unasked; and
// a key that the provider may have forgotten is only looked up. So a crash, a time-out or a lost answer charges nobody twice.
import { unreachable } from '../../base/assert.ts'
import type { Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { addMs, type Instant } from '../../base/time.ts'
import type { Order, Settlement } from '../orders/types.ts'
import type { Answer, Charge, Operation, OperationKind, OrderPayment } from './types.ts'

/**
 * - `unsent`: no call has begun.
 * - `unknown`: a call has begun, and no answer says what came of it; also while the buyer has something to do.
 * - `not_done`: the provider says that it has done nothing under this key.
 * - `settled`: it has answered, and the order knows.
 * - `dead`: given up; it stands in the dead letters.
 */
export type OperationState = 'unsent' | 'unknown' | 'not_done' | 'settled' | 'dead'

/** What a row of the table of operations keeps besides the operation. */
export type Progress = { state: OperationState; tries: number; nextAt: Instant }
export type TrackedOperation = Operation & Progress

export type Step = 'send' | 'look_up' | 'wait' | 'give_up'

/** What a call brought: an answer, or none that counts. `try_again` is the provider's word that it did nothing. */
export type Heard = Answer | 'never_heard' | 'in_progress' | 'try_again' | 'unknown'

export function nextStep(operation: TrackedOperation, now: Instant): Step {
  const { state, kind, askedAt, nextAt } = operation
  if (state === 'settled' || state === 'dead' || now < nextAt) return 'wait'
  const ageMs = now - askedAt
  if (ageMs >= limits.operationMsMax) return 'give_up'
  if (state === 'not_done' && ageMs >= notDoneMsMax(kind)) return 'give_up'
  if (state === 'unknown' || ageMs >= limits.providerKeyMsMax) return 'look_up'
  return 'send'
}

/** A buyer is told that it did not work while he still waits; money that is owed is tried for as long as a key lives. */
const notDoneMsMax = (kind: OperationKind): number =>
  kind === 'authorize' ? limits.authorizeMsMax : limits.providerKeyMsMax

/** As it is written before the call: another worker takes it up again only when this one must have ended. */
export function begun<T extends TrackedOperation>(operation: T, step: 'send' | 'look_up', now: Instant): T {
  const state = step === 'send' ? 'unknown' : operation.state
  return { ...operation, state, tries: operation.tries + 1, nextAt: addMs(now, limits.operationLeaseMs) }
}

/** The row after a call, and what to tell the order first. `chance` (0 ≤ x < 1) spreads the retries. */
export function afterAnswer<T extends TrackedOperation>(
  operation: T,
  heard: Heard,
  now: Instant,
  chance: number,
): { operation: T; settlement: Settlement | null } {
  const later = addMs(now, pauseMs(operation.tries, chance))
  if (heard === 'unknown' || heard === 'in_progress')
    return { operation: { ...operation, nextAt: later }, settlement: null }
  // Who has never heard of it may be asked at once: the pause was made before he was asked after it.
  if (heard === 'never_heard') return { operation: { ...operation, state: 'not_done', nextAt: now }, settlement: null }
  if (heard === 'try_again') return { operation: { ...operation, state: 'not_done', nextAt: later }, settlement: null }
  const reference = 'reference' in heard ? (heard.reference ?? operation.reference) : operation.reference
  const settlement = settlementOf(operation, heard)
  if (heard.says === 'requires_action' && operation.kind === 'authorize')
    return { operation: { ...operation, state: 'unknown', reference, nextAt: later }, settlement }
  const isOwed = heard.says === 'failed' && operation.kind !== 'authorize' // somebody has to see to the money
  return { operation: { ...operation, state: settlement && !isOwed ? 'settled' : 'dead', reference }, settlement }
}

/**
 * A charge or a refund that was given up has failed, which the order is told; the provider may still correct it. A capture or
 * a void leaves the authorization where it was, and there is nothing to tell.
 */
export function afterGivingUp<T extends TrackedOperation>(
  operation: T,
): { operation: T; settlement: Settlement | null } {
  const isEnd = operation.kind === 'authorize' && operation.state === 'not_done'
  const failed = { says: 'failed', error: 'provider_unavailable' } as const
  const tells = isEnd || operation.kind === 'refund'
  return {
    operation: { ...operation, state: isEnd ? 'settled' : 'dead' },
    settlement: tells ? settlementOf(operation, failed) : null,
  }
}

/** What an attempt asks of its provider; the event `payment.requested` says the same. */
export const authorizationOf = (
  order: Pick<Order, 'shopId' | 'id' | 'currency'>,
  payment: OrderPayment,
): Operation => ({
  shopId: order.shopId,
  id: payment.id,
  kind: 'authorize',
  provider: payment.provider,
  orderId: order.id,
  paymentId: payment.id,
  amount: payment.amount,
  currency: order.currency,
  method: payment.method,
  capture: payment.capture,
  reference: payment.reference,
  askedAt: payment.openedAt,
})

/**
 * Of what is sent some time after it was asked for: nothing, if its order still wants it; else the end of the operation, and what
 * its order has to hear. Nobody is charged for an order that was cancelled meanwhile, nor given back what he has had.
 */
export function whenUnwanted<T extends TrackedOperation>(
  operation: T,
  order: Pick<Order, 'status' | 'life'> | undefined,
): { operation: T; settlement: Settlement | null } | undefined {
  if (isStillWanted(operation, order)) return undefined
  const isHeard = operation.kind === 'authorize'
  const settlement = isHeard
    ? settlementOfPayment(operation.paymentId, { says: 'failed', error: 'order_cancelled' })
    : null
  return { operation: { ...operation, state: 'settled' }, settlement }
}

/** Unlike `isStillAsked`, of what failed before as well, and is tried again by hand. */
function isStillWanted(
  { kind, id, refundId, paymentId }: Operation,
  order: Pick<Order, 'status' | 'life'> | undefined,
): boolean {
  if (kind === 'authorize') return order?.status !== 'cancelled'
  if (!order?.life) return false
  const { payments, refunds } = order.life
  if (kind === 'refund')
    return refunds.some((one) => one.id === (refundId ?? id) && (one.status === 'pending' || one.status === 'failed'))
  const payment = payments.find((one) => one.id === paymentId)
  if (payment?.asked === kind) return true
  const isPaidOtherwise = payments.some(({ id: other, status }) => other !== paymentId && !isOver[status])
  return kind === 'capture' && payment?.status === 'failed' && order.status !== 'cancelled' && !isPaidOtherwise
}

const isOver: Record<OrderPayment['status'], boolean> = {
  pending: false,
  requires_action: false,
  authorized: false,
  captured: false,
  failed: true,
  voided: true,
}

/** What an answer means for the order; null when it means nothing that we know. */
export function settlementOf({ kind, paymentId, ...operation }: Operation, answer: Answer): Settlement | null {
  if (kind === 'refund') {
    const id = operation.refundId ?? operation.id
    if (answer.says === 'refunded') return { of: 'refund', id, says: 'refunded' }
    return answer.says === 'failed' ? { of: 'refund', id, says: 'failed', error: answer.error } : null
  }
  // An authorization that cannot be voided stands, or has run out: somebody has to look.
  if (kind === 'void' && answer.says === 'failed') return null
  return settlementOfPayment(paymentId, answer)
}

/** What a provider says of a payment, as its order hears it. */
export function settlementOfPayment(id: Uuid, answer: Answer): Settlement {
  const payment = { of: 'payment', id } as const
  switch (answer.says) {
    case 'authorized':
      return { ...payment, says: 'authorized', reference: answer.reference }
    case 'captured':
    case 'refunded': // it was taken, or it could not have gone back
      return { ...payment, says: 'captured', reference: answer.reference, amount: answer.amount }
    case 'voided':
      return { ...payment, says: 'voided' }
    case 'requires_action':
      return { ...payment, says: 'requires_action', reference: answer.reference, nextAction: answer.nextAction }
    case 'failed':
      return { ...payment, says: 'failed', error: answer.error }
    default:
      return unreachable(answer)
  }
}

/** Doubled with each try, and somewhere in its upper half, so that those that failed together do not come back together. */
export function pauseMs(tries: number, chance: number): number {
  const most = Math.min(limits.operationPauseMsMax, limits.operationPauseMsMin * 2 ** Math.min(tries, 30))
  return Math.ceil(most * (0.5 + chance / 2))
}

/** Whether the order still waits for it: what an event of long ago asked for has been answered as a rule. */
export function isStillAsked(order: Pick<Order, 'life'> | undefined, { kind, id, paymentId }: Operation): boolean {
  if (kind === 'refund') return order?.life?.refunds.some((one) => one.id === id && one.status === 'pending') ?? false
  const payment = order?.life?.payments.find((one) => one.id === paymentId)
  if (!payment) return false
  return kind === 'authorize'
    ? payment.status === 'pending' || payment.status === 'requires_action'
    : payment.status === 'authorized' || payment.status === 'requires_action'
      ? payment.asked === kind
      : false
}

/** What a provider's own record of a payment says to its order; null for what it need not hear. */
export function settlementOfCharge({ id, paymentId, status, captured }: Charge): Settlement | null {
  const payment = { of: 'payment', id: paymentId } as const
  if (status === 'captured' || status === 'refunded')
    return { ...payment, says: 'captured', reference: id, amount: captured }
  if (status === 'authorized') return { ...payment, says: 'authorized', reference: id }
  return status === 'voided' ? { ...payment, says: 'voided' } : null
}
