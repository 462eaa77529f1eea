// Money of an order. What a provider says is recorded as it is; what follows from it is one rule, `advance`, that runs after
// every change: confirm what is paid, take what is due, give back what is held beyond what the standing order costs, and
// complete what is done. So money that arrives late, twice or for a cancelled order goes back whatever way it came.
import { assert, unreachable } from '../../base/assert.ts'
import { toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { MinorUnits } from '../../base/money.ts'
import { accepted, type Outcome, refused } from '../../base/result.ts'
import { addMs, toRfc3339 } from '../../base/time.ts'
import { commitReserved, moveUnits, reserveCommitted } from '../stock/decide.ts'
import {
  type BatchState,
  changeLife,
  openAllocations,
  orderEvent,
  orderFor,
  spreadOverLines,
  unitsOpen,
} from './batch-state.ts'
import { dueAt, hasRunOut, isCaptureDue, timingOf } from './due.ts'
import type { Payment, Refund } from './life.ts'
import { authorizedOf, costOf, heldOf, isOpen, lifeOf, priceOf, refundableOf } from './money.ts'
import { hasShipped } from './parcels.ts'
import { mayBecome, next, orderTable, paymentTable } from './states.ts'
import type {
  CaptureOrder,
  FoundDispute,
  FoundRefund,
  NewPayment,
  Order,
  RefundOrder,
  Settle,
  Settlement,
  StartPayment,
} from './types.ts'

/** Begins an attempt. Its order keeps its units until the attempt has ended, however long the provider takes. */
export function beginPayment(state: BatchState, order: Order, { id, provider, method }: NewPayment): void {
  const life = lifeOf(order)
  const amount = (costOf(order) - heldOf(life)) as MinorUnits
  const isPaidAtOnce = provider === 'none' || amount === 0
  const payment: Payment = {
    id,
    provider,
    method,
    amount,
    capture: life.captureRule === 'now' && life.review !== 'open' ? 'now' : 'later',
    status: 'pending',
    captured: 0 as MinorUnits,
    asked: null,
    reference: null,
    error: null,
    nextAction: null,
    openedAt: state.now,
  }
  changeLife(order, { payments: [...life.payments, payment], reservedUntil: life.reservedUntil ?? order.expiresAt })
  order.expiresAt = dueAt(order)
  if (isPaidAtOnce) {
    record(state, order, payment, { of: 'payment', id, says: 'captured', amount, reference: null })
    advance(state, order)
    return
  }
  orderEvent(state, order, 'payment.requested', [], {
    ...told(state, order, payment),
    method,
    capture: payment.capture,
  })
}

export function decideStartPayment(state: BatchState, command: StartPayment): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  if (order.status === 'cancelled') return refused('order_cancelled')
  const life = lifeOf(order)
  if (life.payments.some(isOpen)) return refused('payment_in_progress')
  if (order.status !== 'pending' && heldOf(life) + authorizedOf(life) >= costOf(order)) return refused('order_paid')
  if (life.payments.length >= limits.orderPaymentsMax) return refused('too_many_parts')
  beginPayment(state, order, command.payment)
  return accepted(order)
}

/** Records what a provider says. What it has said before, or what no longer matters, changes nothing. */
export function decideSettle(state: BatchState, { shopId, orderId, settlement }: SettleAsked): Outcome<Order> {
  const order = orderFor(state, { shopId, orderId, ifVersion: null })
  if ('ok' in order) return order
  const life = lifeOf(order)
  if (settlement.of === 'refund') {
    const refund = life.refunds.find(({ id }) => id === settlement.id)
    if (!refund) return refused('not_found')
    if (refund.status === settlement.says || isOnlyOurWord(refund, settlement)) return accepted(order)
    settleRefund(state, order, refund, settlement)
  } else {
    const payment = life.payments.find(({ id }) => id === settlement.id)
    if (!payment) return refused('not_found')
    if (settlement.says === 'given_up') {
      if (!giveUp(state, order, payment, settlement.operation)) return accepted(order)
    } else {
      if (!mayBecome(paymentTable, payment.status, settlement.says)) return accepted(order)
      record(state, order, payment, settlement)
    }
  }
  advance(state, order)
  return accepted(order)
}

export type SettleAsked = Omit<Settle, 'settlement'> & { settlement: Exclude<Settlement, FoundRefund | FoundDispute> }

type OfPayment = Extract<Settlement, { of: 'payment' }>
type PaymentSettlement = Exclude<OfPayment, { says: 'given_up' }>
type GivenUp = Extract<OfPayment, { says: 'given_up' }>

function record(state: BatchState, order: Order, before: Payment, settlement: PaymentSettlement): void {
  const { givenUp: _, ...kept } = before
  const payment: Payment = {
    ...kept,
    status: next(paymentTable, before.status, settlement.says),
    error: null,
    nextAction: null,
  }
  switch (settlement.says) {
    case 'requires_action':
      payment.nextAction = settlement.nextAction
      payment.reference = settlement.reference
      break
    case 'authorized':
      payment.reference = settlement.reference ?? before.reference
      payment.authorizedUntil = addMs(state.now, timingOf(lifeOf(order)).authorizationMs)
      break
    case 'captured':
      payment.reference = settlement.reference ?? before.reference
      payment.captured = settlement.amount
      payment.asked = null
      break
    case 'failed':
      payment.error = settlement.error
      payment.asked = null
      break
    case 'voided':
      payment.asked = null
      break
    default:
      unreachable(settlement)
  }
  replacePayment(order, payment)
  const isTakenAtOnce = settlement.says === 'captured' && before.status !== 'authorized' && payment.provider !== 'none'
  if (isTakenAtOnce) orderEvent(state, order, 'payment.authorized', [], told(state, order, payment))
  // `authorized`: of money that is set aside for a while, or is no longer. What is taken at once never was.
  const beginsOrEnds = settlement.says === 'authorized' || before.status === 'authorized'
  // What the buyer has to do is between him and the provider: it may hold a secret, and everybody reads the log.
  orderEvent(state, order, `payment.${settlement.says}`, [], {
    ...told(state, order, payment),
    ...(settlement.says === 'captured' ? { amount: payment.captured } : {}),
    ...(beginsOrEnds ? { authorized: payment.amount } : {}),
    ...(settlement.says === 'failed' ? { error: settlement.error } : {}),
  })
}

function replacePayment(order: Order, payment: Payment): void {
  changeLife(order, { payments: lifeOf(order).payments.map((one) => (one.id === payment.id ? payment : one)) })
}

/** What every event of a payment tells. */
export const told = (state: BatchState, order: Order, payment: Payment) => ({
  payment_id: toWireId('pay', state.cell, payment.id),
  provider: payment.provider,
  amount: payment.amount,
  currency: order.currency,
})

/**
 * Somebody has dropped an operation that came to no end. An attempt has failed, so that another may follow; what was asked of an
 * authorization is asked no longer, and never again by itself. False when it was not waited for.
 */
function giveUp(state: BatchState, order: Order, payment: Payment, operation: GivenUp['operation']): boolean {
  const { id, status, asked } = payment
  if (operation !== (asked ?? 'authorize')) return false
  if (status === 'pending' || status === 'requires_action') {
    record(state, order, payment, { of: 'payment', id, says: 'failed', error: 'given_up' })
    return true
  }
  if (status !== 'authorized' || asked === null) return false
  replacePayment(order, { ...payment, asked: null, givenUp: asked })
  orderEvent(state, order, 'payment.given_up', [], { ...told(state, order, payment), operation })
  return true
}

/** What follows from the order's facts, whatever has just changed them. */
export function advance(state: BatchState, order: Order, refundId: Uuid | null = null): void {
  voidWhatRanOut(state, order)
  waitAgainWhenUnpaid(state, order)
  confirmWhenPaid(state, order)
  askForMoneyDue(state, order)
  giveBackSurplus(state, order, refundId)
  completeWhenDone(state, order)
  order.expiresAt = dueAt(order)
}

/** An authorization that is over pays for nothing. It is voided, since only the provider knows whether it still stands. */
function voidWhatRanOut(state: BatchState, order: Order): void {
  for (const payment of lifeOf(order).payments) if (hasRunOut(payment, state.now)) askVoid(state, order, payment)
}

/**
 * An order whose money is gone (its authorization ran out, or was declined when it was to be taken) waits for another payment
 * like a new one. When goods have left it stays as it is, and owes.
 */
function waitAgainWhenUnpaid(state: BatchState, order: Order): void {
  if (order.status !== 'in_review' && order.status !== 'confirmed') return
  const life = lifeOf(order)
  if (hasShipped(life) || heldOf(life) + authorizedOf(life) >= costOf(order)) return
  const moves: number[] = []
  const isSold = order.status === 'confirmed'
  if (isSold) {
    for (let index = 0; index < order.lines.length; index++)
      moveUnits(state, openAllocations(order, index), reserveCommitted, moves)
  }
  const reservedUntil = addMs(state.now, timingOf(life).reservationMs)
  order.status = next(orderTable, order.status, 'pending')
  changeLife(order, { reservedUntil })
  orderEvent(state, order, 'order.unpaid', moves, {
    expires_at: toRfc3339(reservedUntil),
    ...(isSold ? { credited: costOf(order), currency: order.currency } : {}),
  })
}

function confirmWhenPaid(state: BatchState, order: Order): void {
  if (order.status !== 'pending' && order.status !== 'in_review') return
  const life = lifeOf(order)
  const cost = costOf(order)
  const held = heldOf(life)
  const covered = held + authorizedOf(life)
  if (life.review === 'open') {
    if (order.status === 'in_review' || covered < cost) return
    order.status = next(orderTable, order.status, 'in_review')
    order.expiresAt = null
    orderEvent(state, order, 'order.in_review', [], { reasons: life.riskReasons })
  } else if ((life.captureRule === 'now' ? held : covered) >= cost) {
    confirmOrder(state, order)
  }
}

/** Its units are sold: committed from now on. */
export function confirmOrder(state: BatchState, order: Order): void {
  const moves: number[] = []
  for (let index = 0; index < order.lines.length; index++) {
    moveUnits(state, openAllocations(order, index), commitReserved, moves)
  }
  order.status = next(orderTable, order.status, 'confirmed')
  order.expiresAt = null
  const paidElsewhere = order.life === null ? { provider: 'none' } : {}
  orderEvent(state, order, 'order.confirmed', moves, {
    amount: costOf(order),
    currency: order.currency,
    ...paidElsewhere,
  })
}

/** Asks for money that is set aside, once it is ours: with the order, when the first parcel has left, or at its deadline. */
function askForMoneyDue(state: BatchState, order: Order): void {
  const life = lifeOf(order)
  if (order.status === 'cancelled' || life.review === 'open') return
  const isDue = life.captureRule === 'now' || hasShipped(life)
  let missing = costOf(order) - heldOf(life) - underway(life.payments)
  for (const payment of life.payments) {
    if (missing <= 0) break
    if (payment.status !== 'authorized' || payment.asked !== null || payment.givenUp !== undefined) continue
    if (!isDue && !isCaptureDue(order, life, payment, state.now)) continue
    missing -= ask(state, order, payment, Math.min(payment.amount, missing))
  }
}

/** Of money that is on its way, the most that can come. */
const underway = (payments: readonly Payment[]): number =>
  payments.reduce((sum, { asked, amount }) => (asked === 'capture' ? sum + amount : sum), 0)

function ask(state: BatchState, order: Order, payment: Payment, amount: number): number {
  const { givenUp: _, ...kept } = payment
  replacePayment(order, { ...kept, asked: 'capture' })
  orderEvent(state, order, 'payment.capture_requested', [], {
    ...told(state, order, payment),
    amount,
    reference: payment.reference,
  })
  return amount
}

/** Authorizations that nothing needs are voided; money beyond what the standing order costs is refunded, the newest first. */
function giveBackSurplus(state: BatchState, order: Order, refundId: Uuid | null): void {
  const cost = costOf(order)
  let needed = cost - heldOf(lifeOf(order))
  for (const payment of lifeOf(order).payments) {
    if (payment.status !== 'authorized' && payment.status !== 'requires_action') continue
    if (payment.asked === 'capture') needed -= payment.amount
    else if (payment.asked !== null || payment.givenUp === 'void') continue
    else if (needed > 0) needed -= payment.amount
    else askVoid(state, order, payment)
  }
  let surplus = heldOf(lifeOf(order)) - cost
  let id = refundId
  for (const payment of lifeOf(order).payments.toReversed()) {
    const amount = Math.min(surplus, refundableOf(payment, lifeOf(order).refunds))
    if (amount <= 0) continue
    refund(state, order, payment, { id: id ?? nthIdAfter(payment.id, lifeOf(order).refunds.length + 1), amount })
    id = null
    surplus -= amount
  }
}

function askVoid(state: BatchState, order: Order, payment: Payment): void {
  const { givenUp: _, ...kept } = payment
  replacePayment(order, { ...kept, asked: 'void' })
  orderEvent(state, order, 'payment.void_requested', [], {
    ...told(state, order, payment),
    reference: payment.reference,
  })
}

function refund(state: BatchState, order: Order, payment: Payment, { id, amount }: { id: Uuid; amount: number }): void {
  const { refunds } = lifeOf(order)
  const made: Refund = {
    id,
    paymentId: payment.id,
    amount: amount as MinorUnits,
    status: 'pending',
    at: state.now,
    error: null,
  }
  changeLife(order, { refunds: [...refunds, made] })
  if (payment.provider === 'none') {
    settleRefund(state, order, made, { of: 'refund', id: made.id, says: 'refunded' })
    return
  }
  orderEvent(state, order, 'payment.refund_requested', [], {
    ...toldOfRefund(state, order, made, payment),
    reference: payment.reference,
  })
}

const toldOfRefund = (state: BatchState, order: Order, { id, amount }: Refund, payment: Payment) => ({
  ...told(state, order, payment),
  refund_id: toWireId('rfd', state.cell, id),
  amount,
})

type RefundSettlement = Extract<Settlement, { of: 'refund' }>

/**
 * That a refund failed which was made is believed when its provider says so, and not when it merely did not answer. Of one that
 * was made at the provider by hand, what was asked for here before says nothing.
 */
const isOnlyOurWord = ({ status, reference }: Refund, settlement: RefundSettlement): boolean =>
  status === 'refunded' &&
  settlement.says === 'failed' &&
  (settlement.error === 'provider_unavailable' || reference !== undefined)

/** One that fails after it was made is owed again; with `taken_back` the event says that its money is here again. */
export function settleRefund(state: BatchState, order: Order, before: Refund, settlement: RefundSettlement): void {
  const error = settlement.says === 'failed' ? settlement.error : null
  const settled: Refund = { ...before, status: settlement.says, error }
  const life = lifeOf(order)
  changeLife(order, { refunds: life.refunds.map((one) => (one.id === settled.id ? settled : one)) })
  const payment = life.payments.find(({ id }) => id === settled.paymentId)
  assert(payment, `the payment of refund ${settled.id} is missing`)
  orderEvent(state, order, settlement.says === 'refunded' ? 'payment.refunded' : 'payment.refund_failed', [], {
    ...toldOfRefund(state, order, settled, payment),
    ...(error === null ? {} : { error }),
    ...(settled.reference === undefined ? {} : { by: 'provider' }),
    ...(before.status === 'refunded' ? { taken_back: before.amount, reference: payment.reference } : {}),
  })
}

/** Ids that the decision makes itself: the same on every rerun, and nobody else's. */
function nthIdAfter(id: Uuid, n: number): Uuid {
  const tail = (Number.parseInt(id.slice(-6), 16) + n) & 0xffffff
  return (id.slice(0, -6) + tail.toString(16).padStart(6, '0')) as Uuid
}

function completeWhenDone(state: BatchState, order: Order): void {
  if (order.status !== 'confirmed' || !unitsOpen(order).every((units) => units === 0)) return
  const life = lifeOf(order)
  if (life.payments.some((payment) => payment.asked === 'capture') || heldOf(life) < costOf(order)) return
  order.status = next(orderTable, order.status, 'completed')
  orderEvent(state, order, 'order.completed', [], {})
}

export function decideCapture(state: BatchState, command: CaptureOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  if (order.status === 'cancelled') return refused('order_cancelled')
  const life = lifeOf(order)
  const missing = costOf(order) - heldOf(life) - underway(life.payments)
  const payment = life.payments.find(({ status, asked }) => status === 'authorized' && asked === null)
  if (!payment || missing <= 0 || life.review === 'open') return refused('nothing_to_capture')
  ask(state, order, payment, Math.min(payment.amount, missing))
  order.expiresAt = dueAt(order)
  return accepted(order)
}

/** Gives back an amount, the price of some units, or all. The order then costs that much less. */
export function decideRefund(state: BatchState, command: RefundOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const life = lifeOf(order)
  if (life.refunds.length >= limits.orderPartsMax) return refused('too_many_parts')
  const most = Math.min(costOf(order), heldOf(life))
  let units: number[] | null = null
  let amount = command.amount ?? most
  if (command.lines !== null) {
    const left = order.lines.map((line, index) => line.quantity - (life.creditedUnits[index] ?? 0))
    const spread = spreadOverLines(order.lines, left, command.lines)
    if (!Array.isArray(spread)) return spread
    units = order.lines.map((_, index) => (life.creditedUnits[index] ?? 0) + spread[index]!)
    amount = priceOfCredit(order, units) as MinorUnits
  }
  if (amount > most || most === 0) return refused('refund_too_large')
  if (amount === 0 || heldOf(life) <= costOf(order) - amount) return refused('nothing_to_refund')
  changeLife(order, { creditedUnits: units ?? life.creditedUnits })
  credit(state, order, { amount, reason: command.reason })
  advance(state, order, command.refundId)
  return accepted(order)
}

/** From now on the order costs so much less. */
export function credit(state: BatchState, order: Order, { amount, reason }: { amount: number; reason: string }): void {
  changeLife(order, { credited: (lifeOf(order).credited + amount) as MinorUnits })
  const isBooked = order.status === 'confirmed' || order.status === 'completed' // else its sale will be booked for less
  orderEvent(state, order, 'order.credited', [], {
    amount,
    ...(isBooked ? { credited: amount } : {}),
    currency: order.currency,
    reason,
  })
}

/**
 * The price of the units credited by now beyond those before, as far as the order still costs so much: an amount that was
 * given back for nothing in particular is not given back again with the goods.
 */
export function priceOfCredit(order: Order, creditedUnits: readonly number[]): number {
  const before = lifeOf(order).creditedUnits
  let price = 0
  for (const [index, line] of order.lines.entries()) {
    price += priceOf(line, creditedUnits[index] ?? 0) - priceOf(line, before[index] ?? 0)
  }
  return Math.min(price, costOf(order))
}
