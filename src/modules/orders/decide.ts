// What becomes of a batch of commands. Pure: rows were locked and read, the time was read after the locks, and the
// commands are decided one after the other, so that a batch behaves as if its commands had run alone in that order.
import { assert, unreachable } from '../../base/assert.ts'
import { type CellName, type ShopId, type Sku, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { amountMax, type MinorUnits } from '../../base/money.ts'
import { accepted, type Outcome, type Refused, refused, replayed } from '../../base/result.ts'
import { addMs, type Instant } from '../../base/time.ts'
import {
  allotToLines,
  commitReserved,
  decideAdjustStock,
  decideExtendHold,
  decidePlaceHold,
  decideReleaseHold,
  decideSetPolicy,
  endHold,
  expireHolds,
  moveUnits,
  quantityBySku,
  refusalOfHold,
  reserve,
  type StockState,
  sourceLines,
  takeUnits,
  uncommit,
  unreserve,
} from '../stock/decide.ts'
import type { Allocation, Hold, RequestedLine, StockRowId } from '../stock/types.ts'
import type {
  CancelOrder,
  CancelReason,
  Command,
  CommandOutcome,
  IdempotencyKey,
  Order,
  OrderLine,
  PlaceOrder,
  Submission,
} from './types.ts'

export type KeyRow = IdempotencyKey & { shopId: ShopId; resultId: Uuid | null }
export type ReferenceRow = { shopId: ShopId; reference: string; orderId: Uuid }

export type BatchState = StockState & {
  orders: Map<Uuid, Order>
  /** Keys seen before, and those of this batch; by `keyOf`. */
  keys: Map<string, KeyRow>
  /** By `referenceKey`. */
  references: Map<string, Uuid>
  newOrders: Order[]
  dirtyOrders: Set<Order>
  newKeys: KeyRow[]
  newReferences: ReferenceRow[]
}

export const keyOf = (shopId: ShopId, hash: string): string => `${shopId} ${hash}`
export const referenceKey = (shopId: ShopId, reference: string): string => `${shopId} ${reference}`

export function emptyState(cell: CellName, now: Instant): BatchState {
  return {
    cell,
    now,
    rows: new Map(),
    rowById: new Map(),
    made: new Set(),
    holds: new Map(),
    policies: new Map(),
    dirtyRows: new Set(),
    newHolds: [],
    dirtyHolds: new Set(),
    dirtyPolicies: new Set(),
    events: [],
    shorts: [],
    orders: new Map(),
    keys: new Map(),
    references: new Map(),
    newOrders: [],
    dirtyOrders: new Set(),
    newKeys: [],
    newReferences: [],
  }
}

/** One outcome per submission, in order; `state` then holds what to write. */
export function decideBatch(state: BatchState, submissions: readonly Submission[]): CommandOutcome[] {
  const freed = expireHolds(state) + expireOrders(state)
  return submissions.map(({ command, key }) => {
    if (command.kind === 'expire_due') return accepted({ kind: 'expired', count: freed })
    const earlier = key && state.keys.get(keyOf(command.shopId, key.hash))
    if (earlier) {
      if (earlier.request !== key.request) return refused('idempotency_key_reused')
      const own = earlier.resultId !== null && earlier.resultId === newIdOf(command)
      const value = { kind: 'earlier', resultId: earlier.resultId } as const
      return own ? accepted(value) : replayed(value) // our own first try, whose answer was lost, is no replay
    }
    const outcome = decideCommand(state, command)
    if (outcome.ok && key) rememberKey(state, command.shopId, key, resultIdOf(command))
    return outcome
  })
}

function decideCommand(state: BatchState, command: Exclude<Command, { kind: 'expire_due' }>): CommandOutcome {
  switch (command.kind) {
    case 'place_order':
      return valued(decidePlaceOrder(state, command), (order) => ({ kind: 'order', order }))
    case 'cancel_order':
      return valued(decideCancelOrder(state, command), (order) => ({ kind: 'order', order }))
    case 'place_hold':
      return valued(decidePlaceHold(state, command), (hold) => ({ kind: 'hold', hold }))
    case 'extend_hold':
      return valued(decideExtendHold(state, command), (hold) => ({ kind: 'hold', hold }))
    case 'release_hold':
      return valued(decideReleaseHold(state, command), (hold) => ({ kind: 'hold', hold }))
    case 'adjust_stock':
      return valued(decideAdjustStock(state, command), (rows) => ({ kind: 'adjusted', rows }))
    case 'set_policy':
      return valued(decideSetPolicy(state, command), (policy) => ({ kind: 'policy', policy }))
    default:
      return unreachable(command)
  }
}

function valued<T, V>(outcome: Outcome<T>, wrap: (value: T) => V): Outcome<V> {
  return outcome.ok ? accepted(wrap(outcome.value)) : outcome
}

function rememberKey(state: BatchState, shopId: ShopId, key: IdempotencyKey, resultId: Uuid | null): void {
  const row = { shopId, ...key, resultId }
  state.keys.set(keyOf(shopId, key.hash), row)
  state.newKeys.push(row)
}

function newIdOf(command: Command): Uuid | null {
  if (command.kind === 'place_order') return command.orderId
  return command.kind === 'place_hold' ? command.holdId : null
}

function resultIdOf(command: Command): Uuid | null {
  switch (command.kind) {
    case 'place_order':
    case 'cancel_order':
      return command.orderId
    case 'place_hold':
    case 'extend_hold':
    case 'release_hold':
      return command.holdId
    default:
      return null
  }
}

/**
 * Places an order: units from the stock rows, or from the hold it names (what is left of the hold is released).
 * Without a provider it waits `pending` with its units reserved; paid elsewhere, it is confirmed at once.
 */
function decidePlaceOrder(state: BatchState, command: PlaceOrder): Outcome<Order> {
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
  })
  if (order.provider === 'none') confirmOrder(state, order)
  return accepted(order)
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
    status: 'pending',
    version: 0,
    cancelReason: null,
    cancelled: null,
    expiresAt: addMs(state.now, limits.orderReservationMsDefault),
    updatedAt: state.now,
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

function confirmOrder(state: BatchState, order: Order): void {
  const moves: number[] = []
  for (const line of order.lines) moveUnits(state, line.allocations, commitReserved, moves)
  order.status = 'confirmed'
  order.expiresAt = null
  orderEvent(state, order, 'order.confirmed', moves, {})
}

/** Cancels all that is left, or the units asked for, taking them from the last lines of a SKU first. */
function decideCancelOrder(state: BatchState, command: CancelOrder): Outcome<Order> {
  const order = state.orders.get(command.orderId)
  if (!order || order.shopId !== command.shopId) return refused('not_found')
  if (command.ifVersion !== null && command.ifVersion !== order.version) return refused('precondition_failed')
  if (order.status === 'cancelled') return refused('order_cancelled')
  const left = unitsLeft(order)
  const taken = command.lines === null ? left : unitsToCancel(order, left, command.lines)
  if (!Array.isArray(taken)) return taken
  if (taken.every((units, index) => units === left[index])) cancelWhole(state, order, command.reason)
  else cancelUnits(state, order, taken, command.reason)
  return accepted(order)
}

/** Units of each line that are not cancelled. */
const unitsLeft = (order: Pick<Order, 'lines' | 'cancelled'>): number[] =>
  order.lines.map((line, index) => line.quantity - (order.cancelled?.[index] ?? 0))

function unitsToCancel(order: Order, left: readonly number[], asked: readonly RequestedLine[]): number[] | Refused {
  const taken = order.lines.map(() => 0)
  for (const [sku, quantity] of quantityBySku(asked)) {
    const pointer = `/lines/${asked.findIndex((line) => line.sku === sku)}`
    if (!order.lines.some((line) => line.sku === sku)) {
      return refused('line_not_found', undefined, [{ pointer, code: 'line_not_found', sku }])
    }
    let rest = quantity
    for (let index = order.lines.length - 1; index >= 0; index--) {
      if (order.lines[index]!.sku !== sku) continue
      const units = Math.min(rest, left[index]!)
      taken[index] = units
      rest -= units
    }
    if (rest > 0) return refused('quantity_too_large', undefined, [{ pointer, code: 'quantity_too_large', sku }])
  }
  return taken
}

/** The allocations of a line that still count: cancelled units are taken off the end. */
function allocationsLeft(line: OrderLine, cancelled: number): Allocation[] {
  if (cancelled === 0) return line.allocations
  return takeUnits(
    line.allocations.map((allocation) => ({ ...allocation })),
    line.quantity - cancelled,
  )
}

/** Units of the order that still lie on the row. */
export function unitsOnRow(order: Pick<Order, 'lines' | 'cancelled'>, row: StockRowId): number {
  let units = 0
  for (const [index, line] of order.lines.entries()) {
    for (const allocation of allocationsLeft(line, order.cancelled?.[index] ?? 0)) {
      if (allocation.row === row) units += allocation.quantity
    }
  }
  return units
}

function cancelWhole(state: BatchState, order: Order, reason: CancelReason): void {
  const moves: number[] = []
  for (const [index, line] of order.lines.entries()) {
    moveUnits(state, allocationsLeft(line, order.cancelled?.[index] ?? 0), givingBack(order), moves)
  }
  order.status = 'cancelled'
  order.cancelReason = reason
  order.expiresAt = null
  orderEvent(state, order, 'order.cancelled', moves, { reason })
}

function cancelUnits(state: BatchState, order: Order, taken: readonly number[], reason: CancelReason): void {
  const moves: number[] = []
  const before = order.cancelled ?? order.lines.map(() => 0)
  for (const [index, line] of order.lines.entries()) {
    if (taken[index] === 0) continue
    const kept = allocationsLeft(line, before[index]!).map((allocation) => ({ ...allocation }))
    takeUnits(kept, line.quantity - before[index]! - taken[index]!) // what stays; `kept` is now what goes
    moveUnits(state, kept, givingBack(order), moves)
  }
  order.cancelled = before.map((units, index) => units + taken[index]!)
  orderEvent(state, order, 'order.lines_cancelled', moves, {
    reason,
    lines: order.lines.flatMap(({ sku }, index) => (taken[index] ? [{ sku, quantity: taken[index] }] : [])),
  })
}

const givingBack = (order: Order) => (order.status === 'pending' ? unreserve : uncommit)

/** Unpaid orders whose reservation has run out give their units back. */
function expireOrders(state: BatchState): number {
  let count = 0
  for (const order of state.orders.values()) {
    if (order.status !== 'pending' || order.expiresAt === null || order.expiresAt > state.now) continue
    cancelWhole(state, order, 'unpaid')
    count++
  }
  return count
}

function orderEvent(
  state: BatchState,
  order: Order,
  type: string,
  moves: number[],
  data: Record<string, unknown>,
): void {
  assert(state.orders.get(order.id) === order, `order ${order.id} is not of this batch`)
  const id = toWireId('ord', state.cell, order.id)
  order.updatedAt = state.now
  state.dirtyOrders.add(order)
  state.events.push({
    shopId: order.shopId,
    subject: id,
    subjectVersion: ++order.version,
    type,
    data: { order_id: id, ...data },
    moves,
  })
}
