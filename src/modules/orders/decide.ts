// What becomes of a batch of commands. Pure: rows were locked and read, the time was read after the locks, and the
// commands are decided one after the other, so that a batch behaves as if its commands had run alone in that order.
import { unreachable } from '../../base/assert.ts'
import { type ShopId, type Sku, toWireId, type Uuid } from '../../base/ids.ts'
import { amountMax, type MinorUnits } from '../../base/money.ts'
import { accepted, type Outcome, type Refused, refused, refusedUnder, replayed } from '../../base/result.ts'
import { addMs } from '../../base/time.ts'
import type { Span } from '../../runtime/tracing.ts'
import {
  allotToLines,
  decideExtendHold,
  decidePlaceHold,
  decideReleaseHold,
  type EngineEvent,
  endHold,
  expireHolds,
  moveUnits,
  quantityBySku,
  refusalOfHold,
  reserve,
  sourceLines,
  takeUnits,
} from '../stock/decide.ts'
import { decideAdjustStock, decideSetPolicy } from '../stock/decide-adjust.ts'
import { decideHandOver, decideReceiveUnits, decideRememberSent, decideSendUnits } from '../stock/decide-transfers.ts'
import type { Allocation, Hold, PlaceHold, RequestedLine } from '../stock/types.ts'
import {
  type BatchState,
  changeLife,
  copyOf,
  freeAllocations,
  keyOf,
  openAllocations,
  orderEvent,
  orderFor,
  referenceKey,
  spreadOverFree,
  spreadOverLines,
  unitsFree,
  unitsIn,
  unitsOpen,
} from './batch-state.ts'
import { decideFound } from './decide-found.ts'
import { cancelOpenUnits, cancelWhole, decideShortPick, givingBack } from './decide-fulfilment.ts'
import {
  decideCancelShipment,
  decideDeliver,
  decidePackShipment,
  decidePick,
  decideShip,
  decideShipShipment,
  giveUpParcels,
} from './decide-parcels.ts'
import {
  advance,
  beginPayment,
  confirmOrder,
  decideCapture,
  decideRefund,
  decideSettle,
  decideStartPayment,
} from './decide-payment.ts'
import { announceReturn, decideReceiveReturn, decideRequestReturn, unitsToReturn } from './decide-returns.ts'
import { isToBeCancelled } from './due.ts'
import { newIdOf, rememberKey } from './keyed.ts'
import { defaultTiming, type Terms, type Timing } from './life.ts'
import { emptyLife, lifeOf, standingOf, wasPaid } from './money.ts'
import { hasShipped, without } from './parcels.ts'
import type {
  CancelOrder,
  CancelReason,
  Command,
  CommandOutcome,
  EditOrder,
  ExchangeOrder,
  ExpireDue,
  LifeCommand,
  Order,
  PlaceOrder,
  ReviewOrder,
  Settle,
  SharedKey,
  Submission,
  SupersedeOrder,
} from './types.ts'

/** One outcome per submission, in order; `state` then holds what to write. */
export function decideBatch(state: BatchState, submissions: readonly Submission[]): CommandOutcome[] {
  const freed = expireHolds(state) + decideDue(state)
  return submissions.map((submission) => {
    const before = state.events.length
    const outcome = decideSubmission(state, submission, freed)
    if (submission.span) attribute(state.events.slice(before), submission.span)
    return outcome
  })
}

function attribute(events: readonly EngineEvent[], { traceparent }: Span): void {
  for (const event of events) event.traceparent = traceparent
}

function decideSubmission(state: BatchState, { command, key }: Submission, freed: number): CommandOutcome {
  if (command.kind === 'expire_due') return accepted({ kind: 'expired', count: freed })
  const earlier = key && state.keys.get(keyOf(command.shopId, key.hash))
  if (earlier) {
    if (earlier.request !== key.request) return refused('idempotency_key_reused')
    const own = earlier.resultId !== null && earlier.resultId === newIdOf(command)
    const value = { kind: 'earlier', resultId: earlier.resultId, takenBy: earlier.takenBy } as const
    return own ? accepted(value) : replayed(value) // our own first try, whose answer was lost, is no replay
  }
  const outcome = decideCommand(state, command)
  if (outcome.ok && key) rememberKey(state, command, key)
  return outcome
}

function decideCommand(state: BatchState, command: Exclude<Command, ExpireDue>): CommandOutcome {
  switch (command.kind) {
    case 'place_order':
      return valued(decidePlaceOrder(state, command), (order) => ({ kind: 'order', order }))
    case 'cancel_order':
    case 'supersede_order':
    case 'start_payment':
    case 'settle':
    case 'capture_order':
    case 'refund_order':
    case 'ship_order':
    case 'pick_order':
    case 'pack_shipment':
    case 'ship_shipment':
    case 'cancel_shipment':
    case 'deliver_shipment':
    case 'short_pick':
    case 'request_return':
    case 'receive_return':
    case 'exchange_order':
    case 'review_order':
    case 'edit_order':
      return valued(decideOnOrder(state, command), (order) => ({ kind: 'order', order }))
    case 'remember_key':
      return accepted({ kind: 'key_remembered' }) // with its key, if that is not known yet
    case 'place_hold':
      return valued(placeHold(state, command), (hold) => ({ kind: 'hold', hold }))
    case 'extend_hold':
      return valued(decideExtendHold(state, command), (hold) => ({ kind: 'hold', hold }))
    case 'release_hold':
      return valued(decideReleaseHold(state, command), (hold) => ({ kind: 'hold', hold }))
    case 'adjust_stock':
      return valued(decideAdjustStock(state, command), (rows) => ({ kind: 'adjusted', rows }))
    case 'set_policy':
      return valued(decideSetPolicy(state, command), (policy) => ({ kind: 'policy', policy }))
    case 'send_units':
      return valued(decideSendUnits(state, command), (sent) => ({ kind: 'sent', sent }))
    case 'hand_over_units':
      return valued(decideHandOver(state, command), (sent) => ({ kind: 'sent', sent }))
    case 'receive_units':
      return valued(decideReceiveUnits(state, command), (received) => ({ kind: 'received', received }))
    case 'remember_sent':
      return valued(decideRememberSent(state, command), (remembered) => ({ kind: 'remembered', remembered }))
    default:
      return unreachable(command)
  }
}

/** What was asked for, or what its provider did of itself. */
function settleOf(state: BatchState, { settlement, ...of }: Settle): Outcome<Order> {
  return settlement.of === 'found_refund' || settlement.of === 'dispute'
    ? decideFound(state, { ...of, settlement })
    : decideSettle(state, { ...of, settlement })
}

function decideOnOrder(state: BatchState, command: LifeCommand): Outcome<Order> {
  switch (command.kind) {
    case 'cancel_order':
      return decideCancelOrder(state, command)
    case 'supersede_order':
      return decideSupersede(state, command)
    case 'start_payment':
      return decideStartPayment(state, command)
    case 'settle':
      return settleOf(state, command)
    case 'capture_order':
      return decideCapture(state, command)
    case 'refund_order':
      return decideRefund(state, command)
    case 'ship_order':
      return decideShip(state, command)
    case 'pick_order':
      return decidePick(state, command)
    case 'pack_shipment':
      return decidePackShipment(state, command)
    case 'ship_shipment':
      return decideShipShipment(state, command)
    case 'cancel_shipment':
      return decideCancelShipment(state, command)
    case 'deliver_shipment':
      return decideDeliver(state, command)
    case 'short_pick':
      return decideShortPick(state, command)
    case 'request_return':
      return decideRequestReturn(state, command)
    case 'receive_return':
      return decideReceiveReturn(state, command)
    case 'exchange_order':
      return decideExchange(state, command)
    case 'review_order':
      return decideReview(state, command)
    case 'edit_order':
      return decideEdit(state, command)
    default:
      return unreachable(command)
  }
}

function valued<T, V>(outcome: Outcome<T>, wrap: (value: T) => V): Outcome<V> {
  return outcome.ok ? accepted(wrap(outcome.value)) : outcome
}

/**
 * Places an order: units from the stock rows, or from the hold it names (what is left of the hold is released).
 * Without a payment it waits `pending` with its units reserved; paid elsewhere, it is confirmed at once.
 */
function decidePlaceOrder(state: BatchState, command: PlaceOrder): Outcome<Order> {
  if (command.refusal) return refused('order_refused', `Because of: ${command.refusal.join(', ')}.`)
  const total = command.lines.reduce((sum, line) => sum + line.amount, 0)
  if (total > amountMax) return refused('amount_too_large')
  if (command.reference !== null && state.references.has(referenceKey(command.shopId, command.reference))) {
    return refused('reference_taken')
  }
  const hold = command.holdId === null ? null : holdFor(state, command)
  if (hold && 'ok' in hold) return hold
  const country = command.personal?.address?.country
  const sources = hold
    ? unitsOfHold(hold, command.lines)
    : sourceLines(state, command.shopId, command.lines, country === undefined ? null : { country })
  if ('ok' in sources) return sources

  // Nothing is refused from here on.
  if (hold) endHold(state, hold, 'consumed', { order_id: toWireId('ord', state.cell, command.orderId) })
  const order = newOrder(state, command, total as MinorUnits, allotToLines(command.lines, sources))
  state.orders.set(order.id, order)
  state.newOrders.push(order)
  if (order.reference !== null) {
    state.references.set(referenceKey(order.shopId, order.reference), order.id)
    state.newReferences.push({ shopId: order.shopId, reference: order.reference, orderId: order.id })
  }
  const moves: number[] = []
  for (const line of order.lines) moveUnits(state, line.allocations, reserve, moves)
  orderEvent(state, order, 'order.placed', moves, {
    currency: order.currency,
    total: order.total,
    lines: order.lines.map(({ sku, quantity }) => ({ sku, quantity })),
    ...(order.exchangeOf ? { exchange_of: toWireId('ord', state.cell, order.exchangeOf.orderId) } : {}),
  })
  keyedEvent(state, { kind: 'order', id: order.id }, command)
  const { terms, review } = command
  const timing = order.provider === 'none' ? undefined : timingToKeep(terms)
  if (review !== null || terms.captureRule !== 'now' || timing) {
    const reviewed = review === null ? {} : { review: 'open' as const, riskReasons: review }
    const timed = timing ? { timing } : {}
    order.life = { ...emptyLife, captureRule: terms.captureRule, ...timed, ...reviewed }
  }
  if (command.payment !== null) beginPayment(state, order, command.payment)
  else if (order.provider === 'none') payElsewhere(state, order)
  return accepted(order)
}

function placeHold(state: BatchState, command: PlaceHold): Outcome<Hold> {
  const outcome = decidePlaceHold(state, command)
  if (outcome.ok) keyedEvent(state, { kind: 'hold', id: outcome.value.id }, command)
  return outcome
}

/** For the other cells only, which may have taken the key too; of no shop, so that nobody is shown it. */
function keyedEvent(
  state: BatchState,
  { kind, id }: { kind: 'order' | 'hold'; id: Uuid },
  { shopId, sharedKey }: { shopId: ShopId; sharedKey?: SharedKey },
): void {
  if (!sharedKey) return
  const { hash, request, names } = sharedKey
  const wireId = toWireId(kind === 'order' ? 'ord' : 'hld', state.cell, id)
  const data = { shop_id: shopId, [`${kind}_id`]: wireId, key_hash: hash, request_hash: request, names }
  const subject = `key:${wireId}`
  state.events.push({ shopId: noShop, subject, subjectVersion: 1, type: `${kind}.keyed`, data, moves: [] })
}
const noShop = 0 as ShopId

/** Left out where it is the default. */
function timingToKeep({ captureRule: _, ...timing }: Terms): Timing | undefined {
  const names = Object.keys(defaultTiming) as (keyof Timing)[]
  return names.some((name) => timing[name] !== defaultTiming[name]) ? timing : undefined
}

/**
 * A return is announced and the order for it placed, or neither: the answer is the new order. It costs its full price and is
 * paid like any other; what comes back is refunded when it is received, and only then.
 */
function decideExchange(state: BatchState, command: ExchangeOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const units = unitsToReturn(order, command.lines)
  if (!Array.isArray(units)) return refusedUnder('/return', units)
  const { orderId, returnId } = command
  const placed = decidePlaceOrder(state, { ...command.order, exchangeOf: { orderId, returnId } })
  if (!placed.ok) return refusedUnder('/order', placed)
  announceReturn(state, order, units, { ...command, exchangeOrderId: placed.value.id })
  return placed
}

/** Nearly always there is nothing to note but that it is paid. */
function payElsewhere(state: BatchState, order: Order): void {
  if (order.life === null) confirmOrder(state, order)
  else beginPayment(state, order, { id: order.id, provider: 'none', method: '' })
}

function newOrder(state: BatchState, command: PlaceOrder, total: MinorUnits, allocations: Allocation[][]): Order {
  return {
    shopId: command.shopId,
    id: command.orderId,
    currency: command.currency,
    total,
    lines: command.lines.map((line, index) => ({ ...line, allocations: allocations[index]! })),
    customer: command.customer,
    reference: command.reference,
    provider: command.provider,
    holdId: command.holdId,
    placedAt: command.placedAt ?? state.now,
    ...(command.exchangeOf ? { exchangeOf: command.exchangeOf } : {}),
    status: 'pending',
    version: 0,
    cancelReason: null,
    cancelled: null,
    expiresAt: addMs(state.now, command.terms.reservationMs),
    updatedAt: state.now,
    life: null,
    personal: command.personal,
    annotations: command.annotations,
  }
}

function holdFor(state: BatchState, command: PlaceOrder): Hold | Refused {
  const hold = state.holds.get(command.holdId!)
  if (!hold || hold.shopId !== command.shopId) return refused('hold_not_found')
  if (hold.status !== 'active') return refused(refusalOfHold(hold.status))
  const held = quantityBySku(hold.lines)
  for (const [sku, quantity] of quantityBySku(command.lines)) {
    if ((held.get(sku) ?? 0) < quantity)
      return refused('hold_too_small', `The hold has fewer than ${quantity} of ${sku}.`)
  }
  return hold
}

function unitsOfHold(hold: Hold, lines: readonly RequestedLine[]): Map<Sku, Allocation[]> {
  const held = new Map<Sku, Allocation[]>()
  for (const line of hold.lines) {
    const list = held.get(line.sku) ?? []
    held.set(line.sku, list)
    list.push(...line.allocations.map((allocation) => ({ ...allocation })))
  }
  const sources = new Map<Sku, Allocation[]>()
  for (const [sku, quantity] of quantityBySku(lines)) sources.set(sku, takeUnits(held.get(sku)!, quantity))
  return sources
}

/**
 * Cancels all that is open, with the parcels that have not left, or the units asked for, taking them from the last lines of a
 * SKU first and from no parcel. What was shipped stays.
 */
function decideCancelOrder(state: BatchState, command: CancelOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  if (order.status === 'cancelled') return refused('order_cancelled')
  const left = unitsOpen(order)
  if (left.every((units) => units === 0)) return refused('order_shipped')
  const asked = command.lines === null ? left : spreadOverLines(order.lines, left, command.lines)
  if (!Array.isArray(asked)) return asked
  const isAll = asked.every((units, index) => units === left[index])
  const taken = isAll ? left : spreadOverFree(order.lines, { free: unitsFree(order), open: left }, command.lines!)
  if (!Array.isArray(taken)) return taken
  if (isAll && !hasShipped(lifeOf(order))) {
    cancelWhole(state, order, command.reason)
  } else {
    if (isAll) giveUpParcels(state, order)
    cancelUnits(state, order, taken, command.reason)
  }
  advance(state, order)
  return accepted(order)
}

/**
 * What has left, or was paid elsewhere, cannot be taken back by a command: it is reported, for somebody to see to. The order that
 * comes back tells whether it has given way (`standingOf`).
 */
function decideSupersede(state: BatchState, command: SupersedeOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  if (!standingOf(order).stands || (command.unlessPaid && wasPaid(order))) return accepted(order)
  changeLife(order, { supersededBy: command.by })
  if (order.provider === 'none' || hasShipped(lifeOf(order))) {
    orderEvent(state, order, 'order.duplicate_found', [], { superseded_by: command.by })
    return accepted(order)
  }
  cancelWhole(state, order, 'duplicate')
  advance(state, order)
  return accepted(order)
}

function cancelUnits(state: BatchState, order: Order, taken: readonly number[], reason: CancelReason): void {
  const moves: number[] = []
  const rest = order.lines.map((_, index) => {
    const goes = copyOf(freeAllocations(order, index))
    takeUnits(goes, unitsIn(goes) - taken[index]!)
    moveUnits(state, goes, givingBack(order), moves)
    return [...without(openAllocations(order, index), goes)]
  })
  if (order.life?.open) changeLife(order, { open: rest })
  cancelOpenUnits(state, order, taken, reason, moves)
}

/** Approved, the order goes on as if nobody had asked; refused, it is cancelled and its money goes back. */
function decideReview(state: BatchState, command: ReviewOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  if (order.status === 'cancelled') return refused('order_cancelled')
  if (lifeOf(order).review !== 'open') return refused('not_in_review')
  if (command.approve) {
    changeLife(order, { review: 'approved' })
    orderEvent(state, order, 'order.approved', [], {})
  } else {
    changeLife(order, { review: 'refused' })
    cancelWhole(state, order, 'fraud')
  }
  advance(state, order)
  return accepted(order)
}

/** Where goods went is not rewritten once some have left. */
function decideEdit(state: BatchState, command: EditOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  if (command.address !== undefined && hasShipped(lifeOf(order))) return refused('order_shipped')
  const { email, address, note } = { email: null, address: null, note: null, ...order.personal }
  order.personal = {
    email: command.email === undefined ? email : command.email,
    address: command.address === undefined ? address : command.address,
    note: command.note === undefined ? note : command.note,
  }
  order.annotations = {
    tags: command.tags ?? order.annotations?.tags ?? [],
    metadata: command.metadata ?? order.annotations?.metadata ?? {},
  }
  state.editedOrders.add(order)
  const fields = (['email', 'address', 'note', 'tags', 'metadata'] as const).filter(
    (name) => command[name] !== undefined,
  )
  orderEvent(state, order, 'order.edited', [], { fields })
  return accepted(order)
}

/** Orders whose time has come: unpaid ones give their units back, and money that is set aside is taken, or let go. */
function decideDue(state: BatchState): number {
  let count = 0
  for (const order of state.orders.values()) {
    if (order.expiresAt === null || order.expiresAt > state.now) continue
    if (isToBeCancelled(order, state.now)) {
      cancelWhole(state, order, 'unpaid')
    }
    advance(state, order)
    count++
  }
  return count
}
