// The memory store's database: the committed tables, and how a COMMIT makes one transaction's changes visible at once.
import { present } from '../../base/assert.ts'
import type { CellName, LocationCode, ShopId, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'
import { type EngineEvent, skuKey, transferKey } from '../stock/decide.ts'
import type { Hold, Policy, Site, StockRow, StockRowId, Transfer } from '../stock/types.ts'
import { type KeyRow, keyOf, type PartRow, type ReferenceRow, referenceKey } from './batch-state.ts'
import { createLocks, type LockOwner, type Locks } from './memory-locks.ts'
import type { Order } from './types.ts'

export type LoggedEvent = EngineEvent & { seq: number; at: Instant }

/** What one transaction changed, as its COMMIT made it visible. */
export type MemoryCommit = {
  lane: number
  /** What the batch took for the time. */
  now: Instant
  orders: Order[]
  holds: Hold[]
  rows: StockRow[]
  policies: Policy[]
  transfers: Transfer[]
  keys: KeyRow[]
  references: ReferenceRow[]
  parts: PartRow[]
  events: LoggedEvent[]
  /** When the batch looked for what was due, how much of the log it could see, and what its bound kept it from freeing. */
  due: { at: Instant; logLength: number; beyondLimit: Uuid[] }
}

/** The committed state. */
export type MemoryTables = {
  orders: Map<Uuid, Order>
  holds: Map<Uuid, Hold>
  rows: Map<StockRowId, StockRow>
  /** By `keyOf`, `referenceKey`, `skuKey`, and shop and code. */
  keys: Map<string, KeyRow>
  references: Map<string, Uuid>
  /** The orders of shipments and returns, by shop and id. */
  parts: Map<string, Uuid>
  policies: Map<string, Policy>
  /** By `transferKey`. */
  transfers: Map<string, Transfer>
  leaving: Set<CellName>
  locations: Map<string, Site>
  /** In the order of their numbers. */
  events: LoggedEvent[]
  // Indexes
  rowIds: Map<string, StockRowId[]>
  activeHolds: Set<Uuid>
  timedOrders: Set<Uuid>
}

export type MemoryDatabase = {
  tables: MemoryTables
  locks: Locks
  clock(): Instant
  lastSeq: number
  lastRowId: number
  /** Transactions that have drawn numbers for events and have not ended: a reader of the log waits for them. */
  writers: Set<LockOwner>
  onCommit(commit: MemoryCommit): void
}

export function createMemoryDatabase(options: {
  clock(): Instant
  onCommit?(commit: MemoryCommit): void
}): MemoryDatabase {
  return {
    tables: {
      orders: new Map(),
      holds: new Map(),
      rows: new Map(),
      keys: new Map(),
      references: new Map(),
      parts: new Map(),
      policies: new Map(),
      transfers: new Map(),
      leaving: new Set(),
      locations: new Map(),
      events: [],
      rowIds: new Map(),
      activeHolds: new Set(),
      timedOrders: new Set(),
    },
    locks: createLocks(),
    clock: options.clock,
    lastSeq: 0,
    lastRowId: 0,
    writers: new Set(),
    onCommit: options.onCommit ?? (() => {}),
  }
}

export function putLocation(database: MemoryDatabase, shopId: ShopId, code: LocationCode, site: Site): void {
  database.tables.locations.set(`${shopId} ${code}`, site)
}

/** COMMIT: everything becomes visible at once. */
export function publish(tables: MemoryTables, change: MemoryCommit, made: Iterable<StockRow>): void {
  for (const order of change.orders) {
    tables.orders.set(order.id, order)
    setMember(tables.timedOrders, order.id, order.expiresAt !== null)
  }
  for (const hold of change.holds) {
    tables.holds.set(hold.id, hold)
    setMember(tables.activeHolds, hold.id, hold.status === 'active')
  }
  for (const row of made) {
    tables.rows.set(row.id, row)
    const key = skuKey(row.shopId, row.sku)
    tables.rowIds.set(
      key,
      [...(tables.rowIds.get(key) ?? []), row.id].toSorted((a, b) => a - b),
    )
  }
  for (const row of change.rows) {
    present(tables.rows.get(row.id), `stock row ${row.id}`)
    tables.rows.set(row.id, row)
  }
  for (const policy of change.policies) tables.policies.set(skuKey(policy.shopId, policy.sku), policy)
  for (const transfer of change.transfers) tables.transfers.set(transferKey(transfer.row, transfer.peer), transfer)
  for (const key of change.keys) tables.keys.set(keyOf(key.shopId, key.hash), key)
  for (const { shopId, reference, orderId } of change.references) {
    tables.references.set(referenceKey(shopId, reference), orderId)
  }
  for (const { shopId, id, orderId } of change.parts) tables.parts.set(`${shopId} ${id}`, orderId)
  for (const event of change.events) insertInOrder(tables.events, event)
}

function setMember<T>(set: Set<T>, item: T, isMember: boolean): void {
  if (isMember) set.add(item)
  else set.delete(item)
}

function insertInOrder(events: LoggedEvent[], event: LoggedEvent): void {
  let at = events.length
  while (at > 0 && events[at - 1]!.seq > event.seq) at--
  events.splice(at, 0, event)
}
