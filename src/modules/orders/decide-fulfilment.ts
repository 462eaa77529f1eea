// Goods of an order: shipped, delivered, not found, sent back. All of it is decided on the locked order, so that of `ship` and
// `cancel` exactly one wins.
import { assert } from '../../base/assert.ts'
import { type LocationCode, toWireId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { MinorUnits } from '../../base/money.ts'
import { accepted, type Outcome, type Refused, refused } from '../../base/result.ts'
import {
  commitUnits,
  lose,
  moveUnits,
  putBack,
  shipUnits,
  sourceLines,
  takeUnits,
  uncommit,
  unreserve,
} from '../stock/decide.ts'
import type { Allocation } from '../stock/types.ts'
import {
  type BatchState,
  changeLife,
  copyOf,
  linesTold,
  openAllocations,
  orderEvent,
  orderFor,
  shippedUnits,
  spreadOverLines,
  unitsIn,
  unitsOfLine,
} from './batch-state.ts'
import { advance, priceOfCredit } from './decide-payment.ts'
import type { ReceivedLine, Return, Shipment, ShippedLine } from './life.ts'
import { authorizedOf, costOf, heldOf, lifeOf } from './money.ts'
import { next, orderTable, returnTable, shipmentTable } from './states.ts'
import type {
  CancelReason,
  DeliverShipment,
  Order,
  ReceiveReturn,
  RequestReturn,
  ShipOrder,
  ShortPick,
} from './types.ts'

/** Goods leave only for an order that is confirmed. */
function refusalToFulfil(order: Order): Refused | undefined {
  if (order.status === 'cancelled') return refused('order_cancelled')
  if (order.status === 'completed') return refused('order_shipped')
  return order.status === 'confirmed' ? undefined : refused('order_not_confirmed')
}

export function decideShip(state: BatchState, command: ShipOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const refusal = refusalToFulfil(order)
  if (refusal) return refusal
  const life = lifeOf(order)
  if (life.shipments.length >= limits.orderPartsMax) return refused('too_many_parts')
  // An authorization may have run out, or a capture been declined, since the order was confirmed.
  if (heldOf(life) + authorizedOf(life) < costOf(order)) return refused('order_not_paid')
  const { left, part } = openUnitsAt(order, command.location)
  if (left.every((units) => units === 0)) return refused('nothing_to_ship')
  const units = command.lines === null ? left : spreadOverLines(order.lines, left, command.lines)
  if (!Array.isArray(units)) return units
  const parts = part(units)
  const missing = missingOnHand(
    state,
    parts.flatMap(({ taken }) => taken),
  )
  if (missing) return missing

  // Nothing is refused from here on.
  const moves: number[] = []
  const lines: ShippedLine[] = []
  for (const [line, { taken }] of parts.entries()) {
    moveUnits(state, taken, shipUnits, moves)
    for (const { row, location, quantity } of taken) lines.push({ line, quantity, row, location })
  }
  const { shipmentId: id, carrier, trackingNumber } = command
  const shipment: Shipment = { id, status: 'shipped', lines, carrier, trackingNumber, at: state.now, deliveredAt: null }
  changeLife(order, {
    shipments: [...lifeOf(order).shipments, shipment],
    open: parts.map(({ rest }) => rest),
  })
  state.newParts.push({ shopId: order.shopId, id, orderId: order.id })
  orderEvent(state, order, 'shipment.created', moves, {
    shipment_id: toWireId('shp', state.cell, id),
    carrier,
    tracking_number: trackingNumber,
    lines: lines.map(({ line, quantity, location }) => ({ sku: order.lines[line]!.sku, quantity, location })),
  })
  advance(state, order)
  return accepted(order)
}

/** How many open units of each line are at a location (null: anywhere), and how to take some of them. */
function openUnitsAt(order: Order, location: LocationCode | null) {
  const isThere = (allocation: Allocation) => location === null || allocation.location === location
  const open = order.lines.map((_, index) => openAllocations(order, index))
  return {
    left: open.map((allocations) => unitsIn(allocations.filter(isThere))),
    part: (units: readonly number[]) => open.map((allocations, index) => parted(allocations, units[index]!, isThere)),
  }
}

/** `units` of the allocations that qualify, from the front, and what is left of all. */
function parted(
  allocations: readonly Allocation[],
  units: number,
  qualifies: (allocation: Allocation) => boolean,
): { taken: Allocation[]; rest: Allocation[] } {
  const candidates = copyOf(allocations.filter(qualifies))
  const taken = takeUnits(candidates, units)
  return { taken, rest: [...candidates, ...copyOf(allocations.filter((one) => !qualifies(one)))] }
}

/** What is sold on an allowance has to arrive before it can leave. */
function missingOnHand(state: BatchState, taken: readonly Allocation[]): Refused | undefined {
  const byRow = new Map<number, number>()
  for (const { row: id, quantity } of taken) {
    const row = state.rowById.get(id)
    assert(row, `stock row ${id} was not locked`)
    const units = (byRow.get(id) ?? 0) + quantity
    byRow.set(id, units)
    if (row.tracking === 'counted' && units > row.onHand)
      return refused('insufficient_stock', `Only ${row.onHand} of ${row.sku} are at ${row.location}.`)
  }
  return undefined
}

/** Said twice, it is delivered once. */
export function decideDeliver(state: BatchState, command: DeliverShipment): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const { shipments } = lifeOf(order)
  const before = shipments.find(({ id }) => id === command.shipmentId)
  if (!before) return refused('not_found')
  if (before.status === 'delivered') return accepted(order)
  const shipment = {
    ...before,
    status: next(shipmentTable, before.status, 'delivered'),
    deliveredAt: state.now,
  }
  changeLife(order, { shipments: shipments.map((one) => (one.id === shipment.id ? shipment : one)) })
  orderEvent(state, order, 'shipment.delivered', [], { shipment_id: toWireId('shp', state.cell, shipment.id) })
  return accepted(order)
}

/**
 * Units that are not where they should be are lost there, and taken from elsewhere when there are enough; what cannot be found
 * is cancelled, and its price goes back.
 */
export function decideShortPick(state: BatchState, command: ShortPick): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const refusal = refusalToFulfil(order)
  if (refusal) return refusal
  const { left, part } = openUnitsAt(order, command.location)
  const units = spreadOverLines(order.lines, left, command.lines)
  if (!Array.isArray(units)) return units
  const parts = part(units)
  const missing = missingOnHand(
    state,
    parts.flatMap(({ taken }) => taken),
  )
  if (missing) return missing

  const moves: number[] = []
  for (const { taken } of parts) moveUnits(state, taken, uncommit, moves)
  for (const { taken } of parts) lose(state, taken)
  const country = order.personal?.address?.country
  const destination = country === undefined ? null : { country }
  const rest = parts.map((part) => part.rest)
  const unfound = order.lines.map(() => 0)
  for (const [index, line] of order.lines.entries()) {
    const wanted = units[index]!
    if (wanted === 0) continue
    const sources = sourceLines(
      state,
      order.shopId,
      [{ sku: line.sku, quantity: wanted }],
      destination,
      command.location,
    )
    const found = 'ok' in sources ? undefined : sources.get(line.sku)
    if (found) {
      moveUnits(state, found, commitUnits, moves)
      rest[index] = [...rest[index]!, ...found]
    } else {
      unfound[index] = wanted
    }
  }
  changeLife(order, { open: rest })
  const isAllGone = lifeOf(order).shipments.length === 0 && rest.every((allocations) => allocations.length === 0)
  orderEvent(state, order, 'order.short_picked', moves, {
    location: command.location,
    lines: linesTold(order.lines, units),
    not_found: linesTold(order.lines, unfound),
  })
  if (isAllGone) cancelWhole(state, order, 'short')
  else if (unfound.some((count) => count > 0)) cancelOpenUnits(state, order, unfound, 'short', [])
  advance(state, order)
  return accepted(order)
}

/** Ends an order of which nothing was shipped; units that are still open go back. */
export function cancelWhole(state: BatchState, order: Order, reason: CancelReason): void {
  const moves: number[] = []
  for (let index = 0; index < order.lines.length; index++) {
    moveUnits(state, openAllocations(order, index), givingBack(order), moves)
  }
  const credited = order.status === 'confirmed' ? { credited: costOf(order), currency: order.currency } : {}
  order.status = next(orderTable, order.status, 'cancelled')
  order.cancelReason = reason
  order.expiresAt = null
  orderEvent(state, order, 'order.cancelled', moves, { reason, ...credited })
}

export const givingBack = (order: Order) => (order.status === 'confirmed' ? uncommit : unreserve)

/** Books units as cancelled that are already out of `open` (or were never moved into it), and their price as credited. */
export function cancelOpenUnits(
  state: BatchState,
  order: Order,
  units: readonly number[],
  reason: CancelReason,
  moves: number[],
): void {
  const before = order.cancelled ?? order.lines.map(() => 0)
  order.cancelled = before.map((count, index) => count + units[index]!)
  const credited = creditUnits(order, units)
  orderEvent(state, order, 'order.lines_cancelled', moves, {
    reason,
    lines: linesTold(order.lines, units),
    ...(order.status === 'confirmed' ? { credited, currency: order.currency } : {}),
  })
}

/** Units whose price will not be taken, or goes back. Those credited before, for nothing in particular, come first. */
function creditUnits(order: Order, units: readonly number[]): number {
  const life = lifeOf(order)
  const gone = order.lines.map((_, index) => (order.cancelled?.[index] ?? 0) + returnedUnits(order, index))
  const creditedUnits = gone.map((count, index) => Math.max(count, life.creditedUnits[index] ?? 0))
  const price = priceOfCredit(order, creditedUnits)
  if (units.some((count) => count > 0))
    changeLife(order, { creditedUnits, credited: (life.credited + price) as MinorUnits })
  return price
}

const returnedUnits = (order: Order, index: number): number =>
  unitsOfLine(
    lifeOf(order).returns.map(({ received }) => received),
    index,
  )

/** Of a return: what was received, or what is still on its way. */
const unitsBack = (order: Order, index: number): number =>
  unitsOfLine(
    lifeOf(order).returns.map(({ status, lines, received }) => (status === 'received' ? received : lines)),
    index,
  )

export function decideRequestReturn(state: BatchState, command: RequestReturn): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  if (lifeOf(order).returns.length >= limits.orderPartsMax) return refused('too_many_parts')
  const left = order.lines.map((_, index) => shippedUnits(order, index) - unitsBack(order, index))
  const units = spreadOverLines(order.lines, left, command.lines)
  if (!Array.isArray(units)) return units.code === 'quantity_too_large' ? { ...units, code: 'not_shipped' } : units
  const lines = units.flatMap((quantity, line) => (quantity > 0 ? [{ line, quantity }] : []))
  const { returnId: id, reason } = command
  const made: Return = { id, status: 'requested', reason, lines, received: [], at: state.now }
  changeLife(order, { returns: [...lifeOf(order).returns, made] })
  state.newParts.push({ shopId: order.shopId, id, orderId: order.id })
  orderEvent(state, order, 'return.requested', [], {
    return_id: toWireId('ret', state.cell, id),
    reason,
    lines: linesTold(order.lines, units),
  })
  return accepted(order)
}

/** Resellable units are on hand again where they came from; the price of all that came back is refunded. */
export function decideReceiveReturn(state: BatchState, command: ReceiveReturn): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const { returns } = lifeOf(order)
  const before = returns.find(({ id }) => id === command.returnId)
  if (!before) return refused('not_found')
  if (before.status === 'received') return refused('return_received')
  const left = order.lines.map((_, index) => before.lines.find(({ line }) => line === index)?.quantity ?? 0)
  const all = spreadOverLines(order.lines, left, command.lines)
  if (!Array.isArray(all)) return all
  const resold = spreadOverLines(
    order.lines,
    left,
    command.lines.filter(({ resellable }) => resellable),
  )
  if (!Array.isArray(resold)) return resold

  const moves: number[] = []
  for (const [index, units] of resold.entries()) moveUnits(state, cameFrom(order, index, units), putBack, moves)
  const received: ReceivedLine[] = all.flatMap((quantity, line) => [
    ...(resold[line]! > 0 ? [{ line, quantity: resold[line]!, resellable: true }] : []),
    ...(quantity > resold[line]! ? [{ line, quantity: quantity - resold[line]!, resellable: false }] : []),
  ])
  const made: Return = { ...before, status: next(returnTable, before.status, 'received'), received }
  changeLife(order, { returns: returns.map((one) => (one.id === made.id ? made : one)) })
  const credited = costOf(order) > 0 ? creditUnits(order, all) : 0
  orderEvent(state, order, 'return.received', moves, {
    return_id: toWireId('ret', state.cell, made.id),
    lines: received.map(({ line, quantity, resellable }) => ({ sku: order.lines[line]!.sku, quantity, resellable })),
    credited,
    currency: order.currency,
  })
  advance(state, order)
  return accepted(order)
}

/** The rows that so many more units of a line were shipped from, the last parcel first. */
function cameFrom(order: Order, index: number, units: number): Allocation[] {
  const shipped = lifeOf(order)
    .shipments.toReversed()
    .flatMap(({ lines }) => lines.filter(({ line }) => line === index))
    .map(({ row, location, quantity }) => ({ row, location, quantity }))
  takeUnits(shipped, returnedUnits(order, index))
  return takeUnits(shipped, units)
}
