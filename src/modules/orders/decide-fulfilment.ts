// What becomes of open units that will not leave: not found where they should be, or cancelled, and their price with them.
import { type LocationCode, toWireId, type Uuid } from '../../base/ids.ts'
import type { MinorUnits } from '../../base/money.ts'
import { accepted, type Outcome } from '../../base/result.ts'
import { commitUnits, moveUnits, sourceSome, takeUnits, uncommit, unreserve } from '../stock/decide.ts'
import { lose } from '../stock/decide-adjust.ts'
import type { Allocation } from '../stock/types.ts'
import {
  type BatchState,
  changeLife,
  copyOf,
  linesTold,
  openAllocations,
  orderEvent,
  orderFor,
  spreadOverFree,
  unitsIn,
  unitsOfLine,
} from './batch-state.ts'
import { giveUpEmptyParcels, giveUpParcels, putParcel, refusalToFulfil } from './decide-parcels.ts'
import { advance, priceOfCredit } from './decide-payment.ts'
import { costOf, lifeOf } from './money.ts'
import { hasShipped, spokenFor, without } from './parcels.ts'
import { next, orderTable } from './states.ts'
import type { CancelReason, Order, ShortPick } from './types.ts'

/**
 * Units that are not where they should be are lost there, as far as a count has not said so before. As many as there are
 * elsewhere are taken from there; the others are cancelled, and their price goes back. What is packed was found.
 */
export function decideShortPick(state: BatchState, command: ShortPick): Outcome<Order> {
  const order = orderFor(state, command)
  if ('ok' in order) return order
  const refusal = refusalToFulfil(order)
  if (refusal) return refusal
  const { location } = command
  const open = order.lines.map((_, index) => openAllocations(order, index))
  const there = open.map((allocations) => allocations.filter((one) => one.location === location))
  const looked = there.map((allocations, index) => without(allocations, packedAt(order, index, location)))
  const units = spreadOverFree(order.lines, { free: looked.map(unitsIn), open: there.map(unitsIn) }, command.lines)
  if (!Array.isArray(units)) return units

  const missing = looked.map((allocations, index) => takeUnits(copyOf(allocations), units[index]!))
  const moves: number[] = []
  for (const taken of missing) moveUnits(state, taken, uncommit, moves)
  for (const taken of missing) lose(state, taken)
  const found = order.lines.map((_, index) =>
    foundElsewhere(state, order, { index, units: units[index]!, location }, moves),
  )
  const unfound = units.map((count, index) => count - unitsIn(found[index]!))
  changeLife(order, {
    open: open.map((allocations, index) => [...without(allocations, missing[index]!), ...found[index]!]),
  })
  const shipments = takeOutOfParcels(order, units, location)
  orderEvent(state, order, 'order.short_picked', moves, {
    location,
    lines: linesTold(order.lines, units),
    not_found: linesTold(order.lines, unfound),
    shipments: shipments.map(({ id, taken }) => ({
      shipment_id: toWireId('shp', state.cell, id),
      lines: linesTold(order.lines, taken),
    })),
  })
  giveUpEmptyParcels(state, order)
  const isAllGone = !hasShipped(lifeOf(order)) && lifeOf(order).open!.every((allocations) => allocations.length === 0)
  if (isAllGone) cancelWhole(state, order, 'short')
  else if (unfound.some((count) => count > 0)) cancelOpenUnits(state, order, unfound, 'short', [])
  advance(state, order)
  return accepted(order)
}

const packedAt = (order: Order, index: number, location: LocationCode): Allocation[] =>
  spokenFor(lifeOf(order), index, ({ status }) => status === 'packed').filter((one) => one.location === location)

/** Units of the order that are committed at other places instead, as many as there are. */
function foundElsewhere(
  state: BatchState,
  order: Order,
  { index, units, location }: { index: number; units: number; location: LocationCode },
  moves: number[],
): Allocation[] {
  if (units === 0) return []
  const country = order.personal?.address?.country
  const wanted = { sku: order.lines[index]!.sku, quantity: units }
  const destination = country === undefined ? null : { country }
  const found = sourceSome(state, order.shopId, wanted, { destination, except: location })
  moveUnits(state, found, commitUnits, moves)
  return found
}

/** Whoever was looking for them had them in a parcel: the newest one first, and then those that were in none. */
function takeOutOfParcels(
  order: Order,
  units: readonly number[],
  location: LocationCode,
): { id: Uuid; taken: number[] }[] {
  const left = [...units]
  const changed: { id: Uuid; taken: number[] }[] = []
  for (const parcel of lifeOf(order).shipments.toReversed()) {
    if (parcel.status !== 'picking') continue
    const taken = order.lines.map(() => 0)
    const lines = parcel.lines.flatMap((one) => {
      const gone = one.location === location ? Math.min(one.quantity, left[one.line]!) : 0
      left[one.line]! -= gone
      taken[one.line]! += gone
      return gone < one.quantity ? [{ ...one, quantity: one.quantity - gone }] : []
    })
    if (taken.every((count) => count === 0)) continue
    putParcel(order, { ...parcel, lines })
    changed.push({ id: parcel.id, taken })
  }
  return changed
}

/** Ends an order of which nothing was shipped; its parcels are given up, and units that are still open go back. */
export function cancelWhole(state: BatchState, order: Order, reason: CancelReason): void {
  giveUpParcels(state, order)
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
export function creditUnits(order: Order, units: readonly number[]): number {
  const life = lifeOf(order)
  const gone = order.lines.map((_, index) => (order.cancelled?.[index] ?? 0) + returnedUnits(order, index))
  const creditedUnits = gone.map((count, index) => Math.max(count, life.creditedUnits[index] ?? 0))
  const price = priceOfCredit(order, creditedUnits)
  if (units.some((count) => count > 0))
    changeLife(order, { creditedUnits, credited: (life.credited + price) as MinorUnits })
  return price
}

export const returnedUnits = (order: Order, index: number): number =>
  unitsOfLine(
    lifeOf(order).returns.map(({ received }) => received),
    index,
  )
