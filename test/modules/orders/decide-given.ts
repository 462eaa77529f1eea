// Given: states and commands for tests of the pure decisions. A state is carried on as a store would load it again.
import type { CellName, LocationCode, ShopId, Sku, Uuid } from '../../../src/base/ids.ts'
import type { Currency, MinorUnits } from '../../../src/base/money.ts'
import { addMs, instant, instantMax } from '../../../src/base/time.ts'
import { type BatchState, emptyState } from '../../../src/modules/orders/batch-state.ts'
import { defaultTerms } from '../../../src/modules/orders/life.ts'
import type { CancelOrder, Command, IdempotencyKey, PlaceOrder, Submission } from '../../../src/modules/orders/types.ts'
import { skuKey } from '../../../src/modules/stock/decide.ts'
import type {
  ExtendHold,
  Hold,
  PlaceHold,
  ReleaseHold,
  StockRow,
  StockRowId,
} from '../../../src/modules/stock/types.ts'

const shopId = 1 as ShopId
const beganAt = instant(1_767_225_600_000)
let lastId = 0

const newId = (): Uuid => `00000000-0000-7000-8000-${String(++lastId).padStart(12, '0')}` as Uuid

/** SKUs A and B with 10 units each, at two locations. */
export function freshState(): BatchState {
  const state = emptyState('eu1' as CellName, beganAt)
  let id = 0
  for (const sku of ['A', 'B'] as Sku[]) {
    for (const [priority, location] of (['main', 'east'] as LocationCode[]).entries()) {
      const site = { priority, country: null, lat: null, lon: null }
      const counters = { onHand: 5, reserved: 0, committed: 0, shipped: 0, allowance: 0, missing: 0, version: 0 }
      addRow(state, {
        id: ++id as StockRowId,
        shopId,
        sku,
        location,
        tracking: 'counted',
        ...counters,
        countedAt: null,
        site,
      })
    }
  }
  return state
}

function addRow(state: BatchState, row: StockRow): void {
  state.rowById.set(row.id, row)
  const key = skuKey(row.shopId, row.sku)
  state.rows.set(key, [...(state.rows.get(key) ?? []), row])
}

/** What the next batch would load after this one was written, so many ms later. */
export function carryOn(before: BatchState, elapsedMs: number): BatchState {
  const state = emptyState(before.cell, addMs(before.now, elapsedMs))
  for (const row of before.rowById.values()) addRow(state, { ...row })
  for (const hold of before.holds.values()) state.holds.set(hold.id, { ...hold })
  for (const order of before.orders.values()) state.orders.set(order.id, { ...order })
  for (const [key, policy] of before.policies) state.policies.set(key, { ...policy })
  for (const [key, row] of before.keys) state.keys.set(key, row)
  for (const [key, id] of before.references) state.references.set(key, id)
  return state
}

/** Everything that a batch could have changed. */
export const traceOf = (state: BatchState) =>
  structuredClone({
    rows: [...state.rowById.values()],
    holds: [...state.holds.values()],
    orders: [...state.orders.values()],
    policies: [...state.policies.values()],
    keys: [...state.keys],
    references: [...state.references],
    events: state.events,
    written: [
      state.dirtyRows.size,
      state.newHolds.length,
      state.dirtyHolds.size,
      state.newOrders.length,
      state.dirtyOrders.size,
      state.editedOrders.size,
      state.newParts.length,
    ],
  })

export const holdOf = (state: BatchState, id: Uuid): Hold => state.holds.get(id)!

export const submit = (command: Command, key: IdempotencyKey | null = null): Submission => ({
  command,
  key,
  deadline: instantMax,
})

const linesOf = (units: Record<string, number>) =>
  Object.entries(units).map(([sku, quantity]) => ({ sku: sku as Sku, quantity }))

export function orderOf(units: Record<string, number>, more: Partial<PlaceOrder> = {}): PlaceOrder {
  return {
    kind: 'place_order',
    shopId,
    orderId: newId(),
    currency: 'EUR' as Currency,
    lines: linesOf(units).map((line) => ({
      ...line,
      unitPrice: 5 as MinorUnits,
      amount: (5 * line.quantity) as MinorUnits,
    })),
    holdId: null,
    customer: null,
    reference: null,
    provider: null,
    payment: null,
    terms: defaultTerms,
    review: null,
    placedAt: null,
    personal: null,
    annotations: null,
    ...more,
  }
}

export const placeHold = (units: Record<string, number>, ttlMs: number): PlaceHold => ({
  kind: 'place_hold',
  shopId,
  holdId: newId(),
  lines: linesOf(units),
  ttlMs,
})
export const extendHold = (holdId: Uuid, ttlMs: number): ExtendHold => ({ kind: 'extend_hold', shopId, holdId, ttlMs })
export const releaseHold = (holdId: Uuid): ReleaseHold => ({ kind: 'release_hold', shopId, holdId })
export const cancelOrder = (orderId: Uuid, units: Record<string, number> | null): CancelOrder => ({
  kind: 'cancel_order',
  shopId,
  orderId,
  reason: 'buyer',
  lines: units && linesOf(units),
  ifVersion: null,
})
