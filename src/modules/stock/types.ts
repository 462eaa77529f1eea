// Words of stock: rows that count units, holds that reserve them, and the commands that move them.
// Per row: available = onHand + allowance − reserved − committed; a SKU may sell the sum over its rows and never more.
import type { LocationCode, ShopId, Sku, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'

export type StockRowId = number & { readonly __brand: 'StockRowId' }
export type Tracking = 'counted' | 'none'

/** One cell's row of (shop, sku, location). Counts are units. */
export type StockRow = {
  id: StockRowId
  shopId: ShopId
  sku: Sku
  location: LocationCode
  tracking: Tracking
  onHand: number
  reserved: number
  committed: number
  shipped: number
  allowance: number
  /** Counts the events of this row; also its subject version. */
  version: number
  countedAt: Instant | null
  /** Of the location; used only to choose between rows, never to count. */
  site: Site
}

export type Site = { priority: number; country: string | null; lat: number | null; lon: number | null }
export type Destination = { country: string }

/** `quantity` units of one line, taken from one row. */
export type Allocation = { row: StockRowId; location: LocationCode; quantity: number }
export type HoldLine = { sku: Sku; quantity: number; allocations: Allocation[] }

/*
 * A hold's life. Units are reserved in `active` only.
 *   active -> consumed   an order used it
 *   active -> released   its owner gave it back
 *   active -> expired    its time was over
 */
export type HoldStatus = 'active' | 'consumed' | 'released' | 'expired'
export type Hold = {
  shopId: ShopId
  id: Uuid
  status: HoldStatus
  version: number
  lines: HoldLine[]
  expiresAt: Instant
}

export type Policy = {
  shopId: ShopId
  sku: Sku
  tracking: Tracking
  /** Units that may be sold beyond those there: backorder or overbooking. */
  allowance: number
  regions: string[] | null
  group: string | null
  version: number
}

export type AdjustReason = 'received' | 'returned' | 'correction' | 'counted' | 'damaged' | 'lost'
export type Adjustment = {
  sku: Sku
  location: LocationCode
  /** Relative, or an absolute count as of an instant (null: of now). */
  change: { delta: number } | { set: number; asOf: Instant | null }
  reason: AdjustReason
}

/** A row after its adjustment, with all rows of its SKU; `ignored` when a later count stands. */
export type AdjustedRow = { row: StockRow; siblings: readonly StockRow[]; ignored: boolean }

export type RequestedLine = { sku: Sku; quantity: number }

export type AdjustStock = { kind: 'adjust_stock'; shopId: ShopId; adjustments: Adjustment[] }
export type SetPolicy = {
  kind: 'set_policy'
  shopId: ShopId
  policy: Omit<Policy, 'shopId' | 'version'>
  ifVersion: number | null
}
export type PlaceHold = { kind: 'place_hold'; shopId: ShopId; holdId: Uuid; lines: RequestedLine[]; ttlMs: number }
export type ExtendHold = { kind: 'extend_hold'; shopId: ShopId; holdId: Uuid; ttlMs: number }
export type ReleaseHold = { kind: 'release_hold'; shopId: ShopId; holdId: Uuid }
export type StockCommand = AdjustStock | SetPolicy | PlaceHold | ExtendHold | ReleaseHold

/** What GET /v1/stock tells of one SKU in this cell. */
export type StockLevel = { sku: Sku; rows: StockRow[]; asOf: Instant }

export type Location = {
  shopId: ShopId
  code: LocationCode
  name: string
  cell: string
  priority: number
  address: Record<string, string> | null
  lat: number | null
  lon: number | null
  version: number
}

export type ShopSku = { shopId: ShopId; sku: Sku }
export type ShopUuid = { shopId: ShopId; id: Uuid }
/** Due holds or orders to lock: those of some SKUs, or of any. What another batch has locked is skipped or awaited. */
export type DueQuery = { skus: readonly ShopSku[] | 'any'; limit: number; ifLocked: 'skip' | 'wait' }
/** Of those that are awaited. */
export type AwaitedDue = { skus: readonly ShopSku[]; limit: number }
