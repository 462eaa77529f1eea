// What becomes of a command on stock. Pure: it sees the locked rows of its batch and the time, and nothing else.
// A command is checked whole before it changes anything, so a refusal leaves no trace. Command n sees what n−1 did.
import { assert } from '../../base/assert.ts'
import { type CellName, type LocationCode, type ShopId, type Sku, toWireId, type Uuid } from '../../base/ids.ts'
import { accepted, type Outcome, type Refused, refused } from '../../base/result.ts'
import { addMs, type Instant, toRfc3339 } from '../../base/time.ts'
import { availableInRow, availableOf, sourceUnits } from './sourcing.ts'
import type {
  Adjustment,
  Allocation,
  Destination,
  ExtendHold,
  Hold,
  HoldStatus,
  PlaceHold,
  Policy,
  ReleaseHold,
  RequestedLine,
  StockRow,
  StockRowId,
  Transfer,
} from './types.ts'

/** A fact to append to the log. `moves` are groups of five: row id, and the change of on hand, reserved, committed, shipped. */
export type EngineEvent = {
  shopId: ShopId
  subject: string
  subjectVersion: number
  type: string
  data: Record<string, unknown>
  moves: number[]
  /** Of the request it came of, where that is sampled. */
  traceparent?: string
}

/** The part of a batch that stock decides on. It belongs to the batch and changes in place as commands are decided. */
export type StockState = {
  cell: CellName
  now: Instant
  /** By `skuKey`; each list sorted by row id. */
  rows: Map<string, StockRow[]>
  rowById: Map<StockRowId, StockRow>
  /** Rows that this batch has made; one that no command has used is as good as not there. */
  made: Set<StockRowId>
  holds: Map<Uuid, Hold>
  policies: Map<string, Policy>
  /** Of the rows that this batch adjusts, sends from or receives to. */
  transfers: Map<StockRowId, Transfer[]>
  /** Cells that have nothing left, and are sent nothing that was meant for them before. */
  leaving: ReadonlySet<CellName>
  // What the batch will write
  dirtyRows: Set<StockRow>
  newHolds: Hold[]
  dirtyHolds: Set<Hold>
  dirtyPolicies: Set<Policy>
  dirtyTransfers: Set<Transfer>
  events: EngineEvent[]
  /** `stock.short` events whose `data.orders` the shell fills with the orders that cannot be served. */
  shorts: { event: EngineEvent; row: StockRow; units: number }[]
}

export const transferKey = (row: StockRowId, peer: CellName): string => `${row} ${peer}`
export const skuKey = (shopId: ShopId, sku: Sku): string => `${shopId} ${sku}`
export const stockSubject = (row: { location: LocationCode; sku: Sku }): string => `stock:${row.location}:${row.sku}`

/** Two lines of one SKU must not each see all of it. */
export function quantityBySku(lines: readonly RequestedLine[]): Map<Sku, number> {
  const sums = new Map<Sku, number>()
  for (const line of lines) sums.set(line.sku, (sums.get(line.sku) ?? 0) + line.quantity)
  return sums
}

/** How many times each allocation's units are added to a counter: 1, -1, or 0. */
export type UnitChange = { onHand: -1 | 0 | 1; reserved: -1 | 0 | 1; committed: -1 | 0 | 1; shipped: 0 | 1 }
const unchanged: UnitChange = { onHand: 0, reserved: 0, committed: 0, shipped: 0 }
export const reserve: UnitChange = { ...unchanged, reserved: 1 }
export const unreserve: UnitChange = { ...unchanged, reserved: -1 }
export const commitReserved: UnitChange = { ...unchanged, reserved: -1, committed: 1 }
export const reserveCommitted: UnitChange = { ...unchanged, reserved: 1, committed: -1 }
export const commitUnits: UnitChange = { ...unchanged, committed: 1 }
export const uncommit: UnitChange = { ...unchanged, committed: -1 }
export const shipUnits: UnitChange = { onHand: -1, reserved: 0, committed: -1, shipped: 1 }
export const putBack: UnitChange = { ...unchanged, onHand: 1 }

/** Changes the rows' counters and adds the moves that say so. Goods that nobody counts are only sold: never on hand nor shipped. */
export function moveUnits(
  state: StockState,
  allocations: readonly Allocation[],
  change: UnitChange,
  moves: number[],
): void {
  for (const { row: id, quantity } of allocations) {
    const row = state.rowById.get(id)
    assert(row, `stock row ${id} was not locked`)
    const counted = row.tracking === 'counted' ? quantity : 0
    const onHand = change.onHand * counted
    const reserved = change.reserved * quantity
    const committed = change.committed * quantity
    const shipped = change.shipped * counted
    row.onHand += onHand
    row.reserved += reserved
    row.committed += committed
    row.shipped += shipped
    assert(row.reserved >= 0 && row.committed >= 0 && row.onHand >= 0, `a counter of stock row ${id} below zero`)
    state.dirtyRows.add(row)
    moves.push(id, onHand, reserved, committed, shipped)
  }
}

/** Units for each line, or the refusal. Nothing has moved yet; lines of one SKU share what is available. */
export function sourceLines(
  state: StockState,
  shopId: ShopId,
  lines: readonly RequestedLine[],
  destination: Destination | null,
): Map<Sku, Allocation[]> | Refused {
  const sources = new Map<Sku, Allocation[]>()
  const missing: Sku[] = []
  const short = new Map<Sku, { requested: number; available: number }>()
  for (const [sku, quantity] of quantityBySku(lines)) {
    const rows = state.rows.get(skuKey(shopId, sku))
    if (!rows || areUnused(state, rows)) {
      missing.push(sku)
      continue
    }
    const allocations = sourceUnits(rows, quantity, destination)
    if (allocations) sources.set(sku, allocations)
    else short.set(sku, { requested: quantity, available: availableOf(rows) })
  }
  if (missing.length > 0) {
    return refused(
      'sku_not_found',
      undefined,
      problemsAt(lines, new Set(missing), 'sku_not_found', () => ({})),
    )
  }
  if (short.size > 0) {
    const problems = problemsAt(lines, short, 'insufficient_stock', (sku) => ({ ...short.get(sku) }))
    return refused('insufficient_stock', undefined, problems)
  }
  return sources
}

/**
 * As many of the units as there are at other places, for what was not found at one. A SKU that is short as a whole gives none:
 * what lies elsewhere is sold.
 */
export function sourceSome(
  state: StockState,
  shopId: ShopId,
  { sku, quantity }: RequestedLine,
  { destination, except }: { destination: Destination | null; except: LocationCode },
): Allocation[] {
  const rows = state.rows.get(skuKey(shopId, sku)) ?? []
  const others = rows.filter((row) => row.location !== except)
  const units = Math.min(quantity, availableOf(rows), availableOf(others))
  return sourceUnits(others, units, destination) ?? []
}

/** A refused adjustment must not make its SKU known to its neighbours. */
export const areUnused = (state: StockState, rows: readonly StockRow[]): boolean =>
  state.made.size > 0 && rows.every((row) => state.made.has(row.id) && !state.dirtyRows.has(row))

function problemsAt(
  lines: readonly RequestedLine[],
  skus: { has(sku: Sku): boolean },
  code: string,
  more: (sku: Sku) => Record<string, unknown>,
) {
  return lines.flatMap((line, index) =>
    skus.has(line.sku) ? [{ pointer: `/lines/${index}`, code, sku: line.sku, ...more(line.sku) }] : [],
  )
}

/** Hands `sources` out to the lines in order, so that each line knows its own allocations. Uses `sources` up. */
export function allotToLines(lines: readonly RequestedLine[], sources: Map<Sku, Allocation[]>): Allocation[][] {
  if (lines.length === sources.size) return lines.map((line) => sources.get(line.sku)!) // no SKU twice
  const left = new Map([...sources].map(([sku, list]) => [sku, list.map((allocation) => ({ ...allocation }))]))
  return lines.map((line) => takeUnits(left.get(line.sku)!, line.quantity))
}

/** Takes `quantity` units off the front of `allocations`, which it shortens. */
export function takeUnits(allocations: Allocation[], quantity: number): Allocation[] {
  const taken: Allocation[] = []
  let left = quantity
  while (left > 0) {
    const first = allocations[0]
    assert(first, 'fewer units allocated than asked for')
    const units = Math.min(left, first.quantity)
    taken.push({ ...first, quantity: units })
    left -= units
    if (units === first.quantity) allocations.shift()
    else first.quantity -= units
  }
  return taken
}

/** Takes holds first come, first served, and never more than is available. */
export function decidePlaceHold(state: StockState, command: PlaceHold): Outcome<Hold> {
  const sources = sourceLines(state, command.shopId, command.lines, null)
  if ('ok' in sources) return sources
  const perLine = allotToLines(command.lines, sources)
  const hold: Hold = {
    shopId: command.shopId,
    id: command.holdId,
    status: 'active',
    version: 0,
    lines: command.lines.map((line, index) => ({ ...line, allocations: perLine[index]! })),
    expiresAt: addMs(state.now, command.ttlMs),
  }
  const moves: number[] = []
  for (const line of hold.lines) moveUnits(state, line.allocations, reserve, moves)
  state.holds.set(hold.id, hold)
  state.newHolds.push(hold)
  holdEvent(state, hold, 'hold.created', moves, {
    lines: command.lines.map(({ sku, quantity }) => ({ sku, quantity })),
    expires_at: toRfc3339(hold.expiresAt),
  })
  return accepted(hold)
}

/** From now, and only while it lives. */
export function decideExtendHold(state: StockState, command: ExtendHold): Outcome<Hold> {
  const hold = state.holds.get(command.holdId)
  if (!hold || hold.shopId !== command.shopId) return refused('not_found')
  if (hold.status !== 'active') return refused(refusalOfHold(hold.status))
  hold.expiresAt = addMs(state.now, command.ttlMs)
  state.dirtyHolds.add(hold)
  holdEvent(state, hold, 'hold.extended', [], { expires_at: toRfc3339(hold.expiresAt) })
  return accepted(hold)
}

/** Giving back what is already given back or expired changes nothing and is no error: DELETE is idempotent. */
export function decideReleaseHold(state: StockState, command: ReleaseHold): Outcome<Hold> {
  const hold = state.holds.get(command.holdId)
  if (!hold || hold.shopId !== command.shopId) return refused('not_found')
  if (hold.status === 'consumed') return refused('hold_consumed')
  if (hold.status === 'active') endHold(state, hold, 'released')
  return accepted(hold)
}

/** Ends a live hold and gives its units back; the event says how it ended. */
export function endHold(state: StockState, hold: Hold, status: Exclude<HoldStatus, 'active'>, data = {}): void {
  assert(hold.status === 'active', `hold ${hold.id} ended twice`)
  hold.status = status
  const moves: number[] = []
  for (const line of hold.lines) moveUnits(state, line.allocations, unreserve, moves)
  state.dirtyHolds.add(hold)
  holdEvent(state, hold, `hold.${status}`, moves, data)
}

/** Frees what time has freed, before any command of the batch looks. */
export function expireHolds(state: StockState): number {
  let count = 0
  for (const hold of state.holds.values()) {
    if (hold.status !== 'active' || hold.expiresAt > state.now) continue
    endHold(state, hold, 'expired')
    count++
  }
  return count
}

export function refusalOfHold(status: Exclude<HoldStatus, 'active'>) {
  return ({ consumed: 'hold_consumed', released: 'hold_released', expired: 'hold_expired' } as const)[status]
}

/** One step of an adjustment, and what it left on hand. */
export type Applied = { row: StockRow; delta: number; onHand: number; reason: Adjustment['reason'] }

export function adjustedEvent(state: StockState, { row, delta, onHand, reason }: Applied): void {
  state.events.push({
    shopId: row.shopId,
    subject: stockSubject(row),
    subjectVersion: ++row.version,
    type: 'stock.adjusted',
    data: { sku: row.sku, location: row.location, delta, reason, on_hand: onHand },
    moves: [row.id, delta, 0, 0, 0],
  })
}

/** Says so when a row has become short, or shorter than it was. */
export function announceShort(state: StockState, row: StockRow, availableBefore: number): void {
  const available = availableInRow(row)
  if (available >= 0 || available >= availableBefore) return
  const event: EngineEvent = {
    shopId: row.shopId,
    subject: stockSubject(row),
    subjectVersion: ++row.version,
    type: 'stock.short',
    data: { sku: row.sku, location: row.location, short: -available },
    moves: [],
  }
  state.events.push(event)
  state.shorts.push({ event, row, units: -available })
}

function holdEvent(state: StockState, hold: Hold, type: string, moves: number[], data: Record<string, unknown>): void {
  const id = toWireId('hld', state.cell, hold.id)
  state.events.push({
    shopId: hold.shopId,
    subject: id,
    subjectVersion: ++hold.version,
    type,
    data: { hold_id: id, ...data },
    moves,
  })
}
