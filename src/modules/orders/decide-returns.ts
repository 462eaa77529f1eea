// Goods of an order that come back: announced, then received, when their price goes back.
import { toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { accepted, type Outcome, type Refused, refused } from '../../base/result.ts'
import { moveUnits, putBack, takeUnits } from '../stock/decide.ts'
import type { Allocation, RequestedLine } from '../stock/types.ts'
import {
  type BatchState,
  changeLife,
  linesTold,
  orderEvent,
  orderFor,
  shippedUnits,
  spreadOverLines,
  unitsOfLine,
} from './batch-state.ts'
import { creditUnits, returnedUnits } from './decide-fulfilment.ts'
import { advance } from './decide-payment.ts'
import type { ReceivedLine, Return } from './life.ts'
import { costOf, lifeOf } from './money.ts'
import { shippedParcels } from './parcels.ts'
import { next, returnTable } from './states.ts'
import type { Order, ReceiveReturn, RequestReturn } from './types.ts'

/** Of a return: what was received, or what is still on its way. */
const unitsBack = (order: Order, index: number): number =>
  unitsOfLine(
    lifeOf(order).returns.map(({ status, lines, received }) => (status === 'received' ? received : lines)),
    index,
  )

export function decideRequestReturn(state: BatchState, command: RequestReturn): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const units = unitsToReturn(order, command.lines)
  if (!Array.isArray(units)) return units
  announceReturn(state, order, units, command)
  return accepted(order)
}

/** Units of each line that are announced to come back; shipped, and not coming back already. */
export function unitsToReturn(order: Order, lines: readonly RequestedLine[]): number[] | Refused {
  if (lifeOf(order).returns.length >= limits.orderPartsMax) return refused('too_many_parts')
  const left = order.lines.map((_, index) => shippedUnits(order, index) - unitsBack(order, index))
  const units = spreadOverLines(order.lines, left, lines)
  return !Array.isArray(units) && units.code === 'quantity_too_large' ? { ...units, code: 'not_shipped' } : units
}

export function announceReturn(
  state: BatchState,
  order: Order,
  units: readonly number[],
  { returnId: id, reason, exchangeOrderId }: { returnId: Uuid; reason: string; exchangeOrderId?: Uuid },
): void {
  const exchange = exchangeOrderId === undefined ? {} : { exchangeOrderId }
  const lines = units.flatMap((quantity, line) => (quantity > 0 ? [{ line, quantity }] : []))
  const made: Return = { id, status: 'requested', reason, lines, received: [], at: state.now, ...exchange }
  changeLife(order, { returns: [...lifeOf(order).returns, made] })
  state.newParts.push({ shopId: order.shopId, id, orderId: order.id })
  orderEvent(state, order, 'return.requested', [], {
    return_id: toWireId('ret', state.cell, id),
    reason,
    lines: linesTold(order.lines, units),
    ...(exchangeOrderId === undefined ? {} : { exchange_order_id: toWireId('ord', state.cell, exchangeOrderId) }),
  })
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
  const shipped = shippedParcels(lifeOf(order))
    .toReversed()
    .flatMap(({ lines }) => lines.filter(({ line }) => line === index))
    .map(({ row, location, quantity }) => ({ row, location, quantity }))
  takeUnits(shipped, returnedUnits(order, index))
  return takeUnits(shipped, units)
}
