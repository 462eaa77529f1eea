// What is done next about an operation, what an answer makes of it, and what a provider's record means: tables, no database.
import { describe, expect, test } from 'vitest'
import type { ShopId, Uuid } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import type { Currency, MinorUnits } from '../../../src/base/money.ts'
import { addMs, instant } from '../../../src/base/time.ts'
import type { Order } from '../../../src/modules/orders/types.ts'
import {
  afterAnswer,
  afterGivingUp,
  begun,
  type Heard,
  isStillAsked,
  nextStep,
  type OperationState,
  pauseMs,
  settlementOf,
  type TrackedOperation,
  whenUnwanted,
} from '../../../src/modules/payments/decide.ts'
import { verdictOf } from '../../../src/modules/payments/reconcile.ts'
import type { Answer, Charge, OperationKind } from '../../../src/modules/payments/types.ts'

const now = instant(1_800_000_000_000)
const paymentId = '01920000-0000-7000-8000-000000000001' as Uuid
const orderId = '01920000-0000-7000-8000-000000000002' as Uuid
const refundId = '01920000-0000-7000-8000-000000000003' as Uuid
const amount = 1000 as MinorUnits
const currency = 'EUR' as Currency
const hour = 60 * 60 * 1000

const operation = (fields: Partial<TrackedOperation> = {}): TrackedOperation => ({
  shopId: 1 as ShopId,
  id: paymentId,
  kind: 'authorize',
  provider: 'bank',
  orderId,
  paymentId,
  amount,
  currency,
  method: 'x',
  capture: 'now',
  reference: null,
  askedAt: now,
  state: 'unsent',
  tries: 0,
  nextAt: now,
  ...fields,
})

test.each<[OperationState, OperationKind, number, ReturnType<typeof nextStep>]>([
  ['unsent', 'authorize', 0, 'send'],
  ['unknown', 'authorize', 0, 'look_up'],
  ['not_done', 'authorize', 0, 'send'],
  ['not_done', 'authorize', limits.authorizeMsMax, 'give_up'],
  ['not_done', 'refund', limits.authorizeMsMax, 'send'],
  ['not_done', 'refund', 23 * hour, 'give_up'],
  ['unsent', 'refund', 23 * hour, 'look_up'],
  ['unknown', 'capture', 24 * hour, 'look_up'],
  ['unknown', 'capture', 72 * hour, 'give_up'],
  ['dead', 'capture', 0, 'wait'],
  ['settled', 'capture', 0, 'wait'],
])('an operation that is %s, %s, %i ms after it was asked for: %s', (state, kind, ageMs, step) => {
  expect(nextStep(operation({ state, kind, askedAt: addMs(now, -ageMs) }), now)).toBe(step)
})

test('nothing is done before its time', () => {
  expect(nextStep(operation({ nextAt: addMs(now, 1) }), now)).toBe('wait')
})

test('what is about to be sent may have been, and is leased for as long as that takes', () => {
  const nextAt = addMs(now, limits.operationLeaseMs)
  expect(begun(operation(), 'send', now)).toMatchObject({ state: 'unknown', tries: 1, nextAt })
  expect(begun(operation({ state: 'not_done' }), 'look_up', now)).toMatchObject({ state: 'not_done', tries: 1, nextAt })
})

test.each<[Heard, OperationKind, OperationState]>([
  ['unknown', 'authorize', 'unknown'],
  ['in_progress', 'authorize', 'unknown'],
  ['never_heard', 'authorize', 'not_done'],
  ['try_again', 'capture', 'not_done'],
  [{ says: 'captured', reference: 'r', amount }, 'authorize', 'settled'],
  [{ says: 'requires_action', reference: 'r', nextAction: {} }, 'authorize', 'unknown'],
  [{ says: 'failed', error: 'card_declined' }, 'authorize', 'settled'],
  [{ says: 'failed', error: 'expired' }, 'capture', 'dead'],
  [{ says: 'failed', error: 'expired' }, 'void', 'dead'],
  [{ says: 'failed', error: 'expired' }, 'refund', 'dead'],
  [{ says: 'voided', reference: 'r', amount }, 'refund', 'dead'],
])('after %j, a %s is %s', (heard, kind, state) => {
  expect(afterAnswer(operation({ kind, state: 'unknown', tries: 1 }), heard, now, 0).operation.state).toBe(state)
})

test('what was given up fails only where that is known, or where money is owed', () => {
  expect(afterGivingUp(operation({ state: 'not_done' }))).toMatchObject({
    operation: { state: 'settled' },
    settlement: { of: 'payment', says: 'failed', error: 'provider_unavailable' },
  })
  expect(afterGivingUp(operation({ state: 'unknown' }))).toMatchObject({
    operation: { state: 'dead' },
    settlement: null,
  })
  expect(afterGivingUp(operation({ state: 'not_done', kind: 'capture' }))).toMatchObject({
    operation: { state: 'dead' },
    settlement: null,
  })
})

test('a refund is told by its own id, under whatever key it was tried', () => {
  const refunded: Answer = { says: 'refunded', reference: null, amount }
  expect(settlementOf(operation({ kind: 'refund', id: refundId }), refunded)).toMatchObject({
    of: 'refund',
    id: refundId,
  })
  const again = operation({ kind: 'refund', id: orderId, refundId })
  expect(settlementOf(again, refunded)).toMatchObject({ of: 'refund', id: refundId, says: 'refunded' })
})

describe('what is sent some time after it was asked for', () => {
  const payment = (status: string, asked: string | null = null, id = paymentId) => ({ id, status, asked })
  const order = (status: string, payments: object[], refunds: object[] = []) =>
    ({ status, life: { payments, refunds } }) as unknown as Order
  const other = '01920000-0000-7000-8000-000000000009' as Uuid

  test.each<[OperationKind, string, Order, boolean]>([
    ['authorize', 'of a standing order', order('pending', [payment('pending')]), true],
    ['authorize', 'of a cancelled order', order('cancelled', [payment('pending')]), false],
    ['capture', 'that is waited for', order('confirmed', [payment('authorized', 'capture')]), true],
    ['capture', 'that was done', order('confirmed', [payment('captured')]), false],
    ['capture', 'that was declined, of an order that owes', order('pending', [payment('failed')]), true],
    [
      'capture',
      'that was declined, of an order paid since',
      order('confirmed', [payment('failed'), payment('captured', null, other)]),
      false,
    ],
    [
      'capture',
      'that was declined, of an order that is being paid',
      order('pending', [payment('failed'), payment('pending', null, other)]),
      false,
    ],
    ['capture', 'that was declined, of a cancelled order', order('cancelled', [payment('failed')]), false],
    ['void', 'that is waited for', order('cancelled', [payment('authorized', 'void')]), true],
    ['void', 'of what was taken', order('cancelled', [payment('captured')]), false],
    [
      'refund',
      'that is waited for',
      order('cancelled', [payment('captured')], [{ id: refundId, status: 'pending' }]),
      true,
    ],
    [
      'refund',
      'that failed, and is tried by hand',
      order('cancelled', [payment('captured')], [{ id: refundId, status: 'failed' }]),
      true,
    ],
    [
      'refund',
      'that was made meanwhile',
      order('cancelled', [payment('captured')], [{ id: refundId, status: 'refunded' }]),
      false,
    ],
  ])('%s %s', (kind, _, of, isWanted) => {
    const one = operation({ kind, refundId: kind === 'refund' ? refundId : null, state: 'not_done' })
    const unwanted = whenUnwanted(one, of)
    expect(unwanted === undefined).toBe(isWanted)
    if (unwanted) expect(unwanted.operation.state).toBe('settled')
  })
})

test('pauses double, are spread, and have an end', () => {
  expect(pauseMs(1, 0.5)).toBeGreaterThan(pauseMs(0, 0.5))
  expect(pauseMs(3, 0)).toBeLessThan(pauseMs(3, 0.999))
  expect(pauseMs(1_000, 0.999)).toBeLessThanOrEqual(limits.operationPauseMsMax)
})

type Payment = NonNullable<Order['life']>['payments'][number]
type Refund = NonNullable<Order['life']>['refunds'][number]

const payment = (fields: Partial<Payment>): Payment => ({
  id: paymentId,
  provider: 'bank',
  method: 'x',
  amount,
  capture: 'now',
  status: 'pending',
  captured: (fields.status === 'captured' ? amount : 0) as MinorUnits,
  asked: null,
  reference: null,
  error: null,
  nextAction: null,
  openedAt: now,
  ...fields,
})
const refund = (status: Refund['status']): Refund => ({ id: refundId, paymentId, amount, status, at: now, error: null })
const orderWith = (one: Payment, refunds: Refund[] = []): Order =>
  ({ id: orderId, life: { payments: [one], refunds } }) as unknown as Order

describe('whether the order still waits for it', () => {
  test.each<[OperationKind, Partial<Payment>, boolean]>([
    ['authorize', { status: 'pending' }, true],
    ['authorize', { status: 'requires_action' }, true],
    ['authorize', { status: 'captured' }, false],
    ['authorize', { status: 'failed' }, false],
    ['capture', { status: 'authorized', asked: 'capture' }, true],
    ['capture', { status: 'authorized', asked: 'void' }, false],
    ['capture', { status: 'captured', asked: null }, false],
    ['void', { status: 'requires_action', asked: 'void' }, true],
    ['void', { status: 'voided', asked: null }, false],
  ])('%s of a payment %j: %s', (kind, fields, asked) => {
    expect(isStillAsked(orderWith(payment(fields)), operation({ kind }))).toBe(asked)
    expect(isStillAsked(undefined, operation({ kind }))).toBe(false)
  })

  test.each([
    ['pending', true],
    ['refunded', false],
    ['failed', false],
  ] as const)('a refund that is %s: %s', (status, asked) => {
    const order = orderWith(payment({ status: 'captured' }), [refund(status)])
    expect(isStillAsked(order, operation({ kind: 'refund', id: refundId }))).toBe(asked)
  })
})

describe('our record against the provider’s', () => {
  const charge = (status: Charge['status'], captured = amount, refunded = 0): Charge => ({
    id: 'ch',
    orderId,
    paymentId,
    amount,
    currency,
    captured: (status === 'captured' || status === 'refunded' ? captured : 0) as MinorUnits,
    refunded: refunded as MinorUnits,
    status,
  })

  test.each<[Payment['status'], Charge | undefined, string]>([
    ['pending', undefined, 'asked'],
    ['requires_action', undefined, 'asked'],
    ['failed', undefined, 'equal'],
    ['authorized', undefined, 'charge_missing'],
    ['captured', undefined, 'charge_missing'],
    ['pending', charge('captured'), 'told captured'],
    ['pending', charge('authorized'), 'told authorized'],
    ['pending', charge('failed'), 'asked'],
    ['authorized', charge('authorized'), 'equal'],
    ['authorized', charge('captured'), 'told captured'],
    ['authorized', charge('voided'), 'told voided'],
    ['authorized', charge('failed'), 'told failed'],
    ['captured', charge('captured'), 'equal'],
    ['captured', charge('captured', 700 as MinorUnits), 'amount_differs'],
    ['captured', charge('authorized'), 'state_differs'],
    ['captured', charge('refunded', amount, amount), 'refund_differs'],
    ['failed', charge('captured'), 'told captured'],
    ['failed', charge('authorized'), 'told authorized'],
    ['failed', charge('voided'), 'equal'],
    ['voided', charge('captured'), 'told captured'],
    ['voided', charge('authorized'), 'state_differs'],
  ])('%s, and %j: %s', (status, theirs, expected) => {
    const one = payment({ status })
    const verdict = verdictOf(orderWith(one), one, theirs)
    const word =
      verdict.is === 'told'
        ? `told ${verdict.settlements[0]!.says}`
        : verdict.is === 'different'
          ? verdict.kind
          : verdict.is
    expect(word).toBe(expected)
  })

  test('refunds that were made at the provider are told, beside those that were asked for, and only once', () => {
    const one = payment({ status: 'captured' })
    const foundRefunds = [{ id: orderId, reference: 're_1', amount: 300 as MinorUnits }]
    const told = { of: 'found_refund', says: 'refunded', paymentId, ...foundRefunds[0] }
    const asked = { ...refund('pending'), amount: 500 as MinorUnits }
    const of = (refunds: (typeof asked)[], refunded: number) =>
      verdictOf(orderWith(one, refunds), one, { ...charge('captured', amount, refunded), foundRefunds })
    expect(of([], 300)).toEqual({ is: 'told', settlements: [told] })
    expect(of([asked], 300)).toEqual({ is: 'told', settlements: [told] })
    expect(of([asked], 800)).toMatchObject({ settlements: [{ of: 'refund', id: refundId }, told] })
    expect(of([asked], 801)).toEqual({ is: 'different', kind: 'refund_differs' })
    const known = { ...refund('refunded'), amount: 300 as MinorUnits, reference: 're_1' }
    expect(of([known], 300)).toEqual({ is: 'equal' })
    const dispute = { ...known, amount: 700 as MinorUnits, reference: 'du_1', isDispute: true as const }
    expect(of([known, dispute], 300)).toEqual({ is: 'equal' }) // no refund to its provider
  })

  test('a refund that the provider has done is told', () => {
    const one = payment({ status: 'captured' })
    const verdict = verdictOf(orderWith(one, [refund('pending')]), one, charge('refunded', amount, amount))
    expect(verdict).toEqual({ is: 'told', settlements: [{ of: 'refund', id: refundId, says: 'refunded' }] })
  })
})
