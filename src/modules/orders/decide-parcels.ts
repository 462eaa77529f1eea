// Parcels of an order: picked, packed, shipped, delivered, given up. All of it is decided on the locked order, so that of `ship`
// and `cancel` exactly one wins. Units are in stock, committed, until their parcel leaves.
import { assert } from '../../base/assert.ts'
import { type LocationCode, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { accepted, type Outcome, type Refused, refused } from '../../base/result.ts'
import { moveUnits, shipUnits, takeUnits } from '../stock/decide.ts'
import type { Allocation, RequestedLine } from '../stock/types.ts'
import {
  type BatchState,
  changeLife,
  copyOf,
  freeAllocations,
  openAllocations,
  orderEvent,
  orderFor,
  spreadOverFree,
  unitsIn,
} from './batch-state.ts'
import { advance } from './decide-payment.ts'
import type { Shipment, ShippedLine } from './life.ts'
import { authorizedOf, costOf, heldOf, lifeOf } from './money.ts'
import { hasLeft, openParcels, spokenFor, without } from './parcels.ts'
import { next, shipmentTable } from './states.ts'
import type {
  CancelShipment,
  DeliverShipment,
  OnShipment,
  Order,
  PackShipment,
  PickOrder,
  ShipOrder,
  ShipShipment,
} from './types.ts'

/** Goods leave only for an order that is confirmed. */
export function refusalToFulfil(order: Order): Refused | undefined {
  if (order.status === 'cancelled') return refused('order_cancelled')
  if (order.status === 'completed') return refused('order_shipped')
  return order.status === 'confirmed' ? undefined : refused('order_not_confirmed')
}

/** Ships at once what is named, of what is in no parcel. */
export function decideShip(state: BatchState, command: ShipOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const lines = linesForParcel(state, order, command)
  if ('ok' in lines) return lines
  const { carrier, trackingNumber } = command
  return leave(state, order, { ...newParcel(state, order, command.shipmentId, lines), carrier, trackingNumber })
}

/** Begins a parcel: its units are in no other one from now on. */
export function decidePick(state: BatchState, command: PickOrder): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const lines = linesForParcel(state, order, command)
  if ('ok' in lines) return lines
  const parcel = newParcel(state, order, command.shipmentId, lines)
  // From here on open units are told row by row: what is cancelled may no longer be just the last of them.
  changeLife(order, { open: order.lines.map((_, index) => copyOf(openAllocations(order, index))) })
  putParcel(order, parcel)
  shipmentEvent(state, order, parcel, 'shipment.picking')
  return accepted(order)
}

function newParcel(state: BatchState, order: Order, id: Uuid, lines: ShippedLine[]): Shipment {
  state.newParts.push({ shopId: order.shopId, id, orderId: order.id })
  return { id, status: 'picking', lines, carrier: null, trackingNumber: null, at: state.now, deliveredAt: null }
}

/** What a new parcel is made of: units that are there and in no other one, of an order that is paid. */
function linesForParcel(
  state: BatchState,
  order: Order,
  { lines, location }: { lines: readonly RequestedLine[] | null; location: LocationCode | null },
): ShippedLine[] | Refused {
  const refusal = refusalToFulfil(order)
  if (refusal) return refusal
  const life = lifeOf(order)
  if (life.shipments.length >= limits.orderPartsMax) return refused('too_many_parts')
  if (isMoneyGone(order)) return refused('order_not_paid')
  const at = (allocations: readonly Allocation[]) =>
    allocations.filter((one) => location === null || one.location === location)
  const free = order.lines.map((_, index) => at(freeAllocations(order, index)))
  const open = order.lines.map((_, index) => at(openAllocations(order, index)))
  const [unitsFree, unitsOpen] = [free.map(unitsIn), open.map(unitsIn)]
  if (unitsOpen.every((units) => units === 0)) return refused('nothing_to_ship')
  if (unitsFree.every((units) => units === 0) && lines === null) return refused('units_in_parcel')
  const units = lines === null ? unitsFree : spreadOverFree(order.lines, { free: unitsFree, open: unitsOpen }, lines)
  if (!Array.isArray(units)) return units
  const taken = free.flatMap((allocations, line) =>
    takeUnits(copyOf(allocations), units[line]!).map((one) => ({ line, ...one })),
  )
  const spoken = order.lines.flatMap((_, index) => spokenFor(life, index))
  return missingOnHand(state, [...spoken, ...taken]) ?? taken
}

/** An authorization may have run out, or a capture been declined, since the order was confirmed. */
function isMoneyGone(order: Order): boolean {
  const life = lifeOf(order)
  return heldOf(life) + authorizedOf(life) < costOf(order)
}

/** What is sold on an allowance has to arrive before it can leave. */
function missingOnHand(state: BatchState, taken: readonly Allocation[]): Refused | undefined {
  const byRow = new Map<number, number>()
  for (const { row: id, quantity } of taken) {
    const row = state.rowById.get(id)
    assert(row, `stock row ${id} was not locked`)
    const units = (byRow.get(id) ?? 0) + quantity
    byRow.set(id, units)
    if (row.tracking === 'counted' && units > row.onHand) {
      const { sku, location, onHand: available } = row
      const problem = { pointer: '/lines', code: 'insufficient_stock', sku, location, requested: units, available }
      return refused('insufficient_stock', `Only ${available} of ${sku} are at ${location}.`, [problem])
    }
  }
  return undefined
}

/** Its units leave, and with the first parcel the money is due that was to be taken at shipment. */
function leave(state: BatchState, order: Order, parcel: Shipment): Outcome<Order> {
  assert(order.status === 'confirmed', `goods leave order ${order.id}, which is ${order.status}`)
  const shipped: Shipment = { ...parcel, status: 'shipped', shippedAt: state.now }
  const moves: number[] = []
  moveUnits(state, parcel.lines, shipUnits, moves)
  const open = order.lines.map((_, index) => [
    ...without(
      openAllocations(order, index),
      parcel.lines.filter(({ line }) => line === index),
    ),
  ])
  changeLife(order, { open })
  putParcel(order, shipped)
  shipmentEvent(state, order, shipped, 'shipment.created', moves)
  advance(state, order)
  return accepted(order)
}

/** Every event of a parcel tells what is in it. */
function shipmentEvent(state: BatchState, order: Order, parcel: Shipment, type: string, moves: number[] = []): void {
  const { id, carrier, trackingNumber, lines } = parcel
  orderEvent(state, order, type, moves, {
    shipment_id: toWireId('shp', state.cell, id),
    ...(carrier === null ? {} : { carrier, tracking_number: trackingNumber }),
    lines: lines.map(({ line, quantity, location }) => ({ sku: order.lines[line]!.sku, quantity, location })),
  })
}

type Found = { order: Order; parcel: Shipment }

function parcelFor(state: BatchState, command: OnShipment): Found | Refused {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const parcel = lifeOf(order).shipments.find(({ id }) => id === command.shipmentId)
  return parcel ? { order, parcel } : refused('not_found')
}

/** One that has not left and was not given up. */
function openParcelFor(state: BatchState, command: OnShipment): Found | Refused {
  const found = parcelFor(state, command)
  if ('ok' in found) return found
  if (found.parcel.status === 'cancelled') return refused('shipment_cancelled')
  return hasLeft(found.parcel) ? refused('shipment_shipped') : found
}

/** In the place of what it was, or as the newest. */
export function putParcel(order: Order, parcel: Shipment): void {
  const { shipments } = lifeOf(order)
  const isNew = !shipments.some(({ id }) => id === parcel.id)
  changeLife(order, {
    shipments: isNew ? [...shipments, parcel] : shipments.map((one) => (one.id === parcel.id ? parcel : one)),
  })
}

/** Said twice, it is packed once. */
export function decidePackShipment(state: BatchState, command: PackShipment): Outcome<Order> {
  const found = openParcelFor(state, command)
  if ('ok' in found) return found
  const { order, parcel } = found
  if (parcel.status === 'packed') return accepted(order)
  const packed = { ...parcel, status: next(shipmentTable, parcel.status, 'packed') }
  putParcel(order, packed)
  shipmentEvent(state, order, packed, 'shipment.packed')
  return accepted(order)
}

export function decideShipShipment(state: BatchState, command: ShipShipment): Outcome<Order> {
  const found = openParcelFor(state, command)
  if ('ok' in found) return found
  const { order, parcel } = found
  if (parcel.status !== 'packed') return refused('shipment_not_packed')
  const refusal = refusalToFulfil(order)
  if (refusal) return refusal
  if (isMoneyGone(order)) return refused('order_not_paid')
  const missing = missingOnHand(state, parcel.lines)
  if (missing) return missing
  const { carrier, trackingNumber } = command
  const status = next(shipmentTable, parcel.status, 'shipped')
  return leave(state, order, { ...parcel, status, carrier, trackingNumber })
}

export function decideCancelShipment(state: BatchState, command: CancelShipment): Outcome<Order> {
  const found = openParcelFor(state, command)
  if ('ok' in found) return found
  giveUp(state, found.order, found.parcel)
  return accepted(found.order)
}

/** Its units are in no parcel again. */
function giveUp(state: BatchState, order: Order, parcel: Shipment): void {
  const cancelled = { ...parcel, status: next(shipmentTable, parcel.status, 'cancelled') }
  putParcel(order, cancelled)
  shipmentEvent(state, order, cancelled, 'shipment.cancelled')
}

/** All that have not left: what they were for is cancelled. */
export function giveUpParcels(state: BatchState, order: Order): void {
  for (const parcel of openParcels(lifeOf(order))) giveUp(state, order, parcel)
}

/** Those in which nothing was found. */
export function giveUpEmptyParcels(state: BatchState, order: Order): void {
  for (const parcel of openParcels(lifeOf(order))) if (parcel.lines.length === 0) giveUp(state, order, parcel)
}

/** Said twice, it is delivered once. */
export function decideDeliver(state: BatchState, command: DeliverShipment): Outcome<Order> {
  const found = parcelFor(state, command)
  if ('ok' in found) return found
  const { order, parcel } = found
  if (parcel.status === 'delivered') return accepted(order)
  if (parcel.status === 'cancelled') return refused('shipment_cancelled')
  if (!hasLeft(parcel)) return refused('shipment_not_shipped')
  const delivered = { ...parcel, status: next(shipmentTable, parcel.status, 'delivered'), deliveredAt: state.now }
  putParcel(order, delivered)
  orderEvent(state, order, 'shipment.delivered', [], { shipment_id: toWireId('shp', state.cell, parcel.id) })
  return accepted(order)
}
