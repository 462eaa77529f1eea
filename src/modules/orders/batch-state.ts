// What a batch decides on, and the few steps that every decision on an order is made of.
import { assert } from '../../base/assert.ts'
import { type CellName, type ShopId, toWireId, type Uuid } from '../../base/ids.ts'
import { type Refused, refused } from '../../base/result.ts'
import type { Instant } from '../../base/time.ts'
import { quantityBySku, type StockState, takeUnits } from '../stock/decide.ts'
import type { Allocation, RequestedLine, StockRowId } from '../stock/types.ts'
import type { Life } from './life.ts'
import { lifeOf } from './money.ts'
import { shippedParcels, spokenFor, without } from './parcels.ts'
import type { IdempotencyKey, Order, OrderLine } from './types.ts'

/** `takenBy` is another cell, which has taken a key that names this one: what it made is there. */
export type KeyRow = IdempotencyKey & { shopId: ShopId; resultId: Uuid | null; takenBy: CellName | null }
export type ReferenceRow = { shopId: ShopId; reference: string; orderId: Uuid }
/** A shipment or a return, and the order it is of. */
export type PartRow = { shopId: ShopId; id: Uuid; orderId: Uuid }

export type BatchState = StockState & {
  orders: Map<Uuid, Order>
  /** Keys seen before, and those of this batch; by `keyOf`. */
  keys: Map<string, KeyRow>
  /** By `referenceKey`. */
  references: Map<string, Uuid>
  newOrders: Order[]
  dirtyOrders: Set<Order>
  /** Orders whose personal data or annotations were edited. */
  editedOrders: Set<Order>
  newKeys: KeyRow[]
  newReferences: ReferenceRow[]
  newParts: PartRow[]
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
    transfers: new Map(),
    leaving: new Set(),
    dirtyRows: new Set(),
    newHolds: [],
    dirtyHolds: new Set(),
    dirtyPolicies: new Set(),
    dirtyTransfers: new Set(),
    events: [],
    shorts: [],
    orders: new Map(),
    keys: new Map(),
    references: new Map(),
    newOrders: [],
    dirtyOrders: new Set(),
    editedOrders: new Set(),
    newKeys: [],
    newReferences: [],
    newParts: [],
  }
}

/** The order a command names, in the version it expects. */
export function orderFor(
  state: BatchState,
  command: { shopId: ShopId; orderId: Uuid; ifVersion: number | null },
): Order | Refused {
  const order = state.orders.get(command.orderId)
  if (!order || order.shopId !== command.shopId) return refused('not_found')
  if (command.ifVersion !== null && command.ifVersion !== order.version) return refused('precondition_failed')
  return order
}

/** Appends an event of the order and marks its state as changed. */
export function orderEvent(
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

/** Lives are values: a change is a new one. */
export function changeLife(order: Order, change: Partial<Life>): void {
  order.life = { ...lifeOf(order), ...change }
}

/** Units of each line that are neither cancelled nor shipped. */
export const unitsOpen = (order: Pick<Order, 'lines' | 'cancelled' | 'life'>): number[] =>
  order.lines.map((_, index) => unitsIn(openAllocations(order, index)))

export const unitsIn = (allocations: readonly Allocation[]): number =>
  allocations.reduce((sum, { quantity }) => sum + quantity, 0)

/** Units of a line in some parts of its order. */
export const unitsOfLine = (parts: readonly (readonly { line: number; quantity: number }[])[], index: number): number =>
  parts.flat().reduce((units, { line, quantity }) => (line === index ? units + quantity : units), 0)

export const shippedUnits = (order: Order, index: number): number =>
  unitsOfLine(
    shippedParcels(lifeOf(order)).map(({ lines }) => lines),
    index,
  )

/** Where the open units of a line are. As placed, cancelled units are taken off the end. */
export function openAllocations(
  order: Pick<Order, 'lines' | 'cancelled' | 'life'>,
  index: number,
): readonly Allocation[] {
  const open = order.life?.open?.[index]
  if (open) return open
  const line = order.lines[index]!
  const cancelled = order.cancelled?.[index] ?? 0
  return cancelled === 0 ? line.allocations : takeUnits(copyOf(line.allocations), line.quantity - cancelled)
}

/** Those of them that are in no open parcel. */
export const freeAllocations = (
  order: Pick<Order, 'lines' | 'cancelled' | 'life'>,
  index: number,
): readonly Allocation[] =>
  order.life === null
    ? openAllocations(order, index)
    : without(openAllocations(order, index), spokenFor(order.life, index))

/** Units of each line that are open and in no parcel. */
export const unitsFree = (order: Pick<Order, 'lines' | 'cancelled' | 'life'>): number[] =>
  order.lines.map((_, index) => unitsIn(freeAllocations(order, index)))

export const copyOf = (allocations: readonly Allocation[]): Allocation[] =>
  allocations.map((allocation) => ({ ...allocation }))

/** Open units of the order that lie on the row. */
export function unitsOnRow(order: Pick<Order, 'lines' | 'cancelled' | 'life'>, row: StockRowId): number {
  let units = 0
  for (let index = 0; index < order.lines.length; index++) {
    for (const allocation of openAllocations(order, index)) if (allocation.row === row) units += allocation.quantity
  }
  return units
}

/** Spreads the units asked for over the order's lines, from the last of a SKU to the first, as far as each has some left. */
export function spreadOverLines(
  lines: readonly OrderLine[],
  left: readonly number[],
  asked: readonly RequestedLine[],
): number[] | Refused {
  const taken = lines.map(() => 0)
  for (const [sku, quantity] of quantityBySku(asked)) {
    const pointer = `/lines/${asked.findIndex((line) => line.sku === sku)}`
    if (!lines.some((line) => line.sku === sku)) {
      return refused('line_not_found', undefined, [{ pointer, code: 'line_not_found', sku }])
    }
    let rest = quantity
    for (let index = lines.length - 1; index >= 0; index--) {
      if (lines[index]!.sku !== sku) continue
      const units = Math.min(rest, left[index]!)
      taken[index] = units
      rest -= units
    }
    if (rest > 0) return refused('quantity_too_large', undefined, [{ pointer, code: 'quantity_too_large', sku }])
  }
  return taken
}

/** Of units of which some may not be taken: `units_in_parcel` where it is an open parcel that they are missing for. */
export function spreadOverFree(
  lines: readonly OrderLine[],
  { free, open }: { free: readonly number[]; open: readonly number[] },
  asked: readonly RequestedLine[],
): number[] | Refused {
  const units = spreadOverLines(lines, free, asked)
  if (Array.isArray(units) || !Array.isArray(spreadOverLines(lines, open, asked))) return units
  const errors = units.errors?.map((error) => ({ ...error, code: 'units_in_parcel' })) ?? []
  return refused('units_in_parcel', undefined, errors)
}

/** `lines` as events tell them. */
export const linesTold = (lines: readonly OrderLine[], units: readonly number[]) =>
  lines.flatMap(({ sku }, index) => (units[index] ? [{ sku, quantity: units[index] }] : []))
