// What happened to an order's money at the provider itself, and nobody asked for here: refunds made there, and disputes. The
// money has gone, so that the order costs that much less; unless it was owed anyway, by a refund that had failed.
import { accepted, type Outcome, refused } from '../../base/result.ts'
import type { BatchState } from './batch-state.ts'
import { changeLife, orderEvent, orderFor } from './batch-state.ts'
import { advance, credit, settleRefund, told } from './decide-payment.ts'
import type { Dispute, Payment, Refund } from './life.ts'
import { costOf, heldOf, lifeOf } from './money.ts'
import type { FoundDispute, FoundRefund, Order, Settle } from './types.ts'

export type SettleFound = Omit<Settle, 'settlement'> & { settlement: FoundRefund | FoundDispute }

/** What was heard before changes nothing. */
export function decideFound(state: BatchState, { shopId, orderId, settlement }: SettleFound): Outcome<Order> {
  const order = orderFor(state, { shopId, orderId, ifVersion: null })
  if ('ok' in order) return order
  const payment = lifeOf(order).payments.find(({ id }) => id === settlement.paymentId)
  if (!payment) return refused('not_found')
  const isNews =
    settlement.of === 'found_refund'
      ? takeRefund(state, order, settlement)
      : takeDispute(state, order, payment, settlement)
  if (isNews) advance(state, order)
  return accepted(order)
}

function takeRefund(state: BatchState, order: Order, found: FoundRefund): boolean {
  const { refunds } = lifeOf(order)
  const known = refunds.find(({ reference }) => reference === found.reference)
  if (known?.status === found.says || (!known && found.says === 'failed')) return false
  const refund = known ?? owed(refunds, found) ?? addRefund(state, order, found)
  const said = found.says === 'failed' ? { says: found.says, error: found.error } : { says: found.says }
  settleRefund(state, order, { ...refund, reference: found.reference }, { of: 'refund', id: refund.id, ...said })
  return true
}

/** One that had failed, and was made at the provider by hand instead. */
const owed = (refunds: readonly Refund[], { paymentId, amount }: FoundRefund): Refund | undefined =>
  refunds.find(
    (one) =>
      one.status === 'failed' && one.paymentId === paymentId && one.amount === amount && one.reference === undefined,
  )

type Taken = Pick<FoundRefund, 'id' | 'paymentId' | 'amount' | 'reference'> & { isDispute?: true }

/** The order costs so much less as its buyer has been given back beyond what he was owed. */
function addRefund(state: BatchState, order: Order, { isDispute, ...taken }: Taken): Refund {
  const beyond = taken.amount - Math.max(0, heldOf(lifeOf(order)) - costOf(order))
  const amount = Math.min(costOf(order), Math.max(0, beyond))
  if (amount > 0) credit(state, order, { amount, reason: isDispute ? 'dispute_lost' : 'refunded_at_provider' })
  const refund: Refund = {
    ...taken,
    status: 'pending',
    at: state.now,
    error: null,
    ...(isDispute ? { isDispute } : {}),
  }
  changeLife(order, { refunds: [...lifeOf(order).refunds, refund] })
  return refund
}

/** The money of one that is lost is gone; until then it is only told. */
function takeDispute(state: BatchState, order: Order, payment: Payment, found: FoundDispute): boolean {
  const { id, paymentId, reference, amount, reason, says: status } = found
  const dispute: Dispute = { reference, amount, reason, status }
  const before = payment.dispute
  if (before?.reference === reference && (before.status !== 'open' || status === 'open')) return false
  if (lifeOf(order).refunds.some((one) => one.reference === reference)) return false // lost, and another one was opened since
  const payments = lifeOf(order).payments.map((one) => (one.id === paymentId ? { ...one, dispute } : one))
  changeLife(order, { payments })
  orderEvent(state, order, eventOf[status], [], { ...told(state, order, payment), ...dispute })
  if (status !== 'lost') return true
  const refund = addRefund(state, order, { id, paymentId, amount, reference, isDispute: true })
  settleRefund(state, order, refund, { of: 'refund', id, says: 'refunded' })
  return true
}

const eventOf: Record<Dispute['status'], string> = {
  open: 'payment.disputed',
  won: 'payment.dispute_won',
  lost: 'payment.dispute_lost',
}
