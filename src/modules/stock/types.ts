// Words of stock: rows that count units, holds that reserve them, and the commands that move them.
// Per row: available = onHand + allowance − reserved − committed − missing; a SKU may sell the sum over its rows and never more.
import type { CellName, LocationCode, ShopId, Sku, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'
import type { SharedKey } from '../orders/types.ts'

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
  /** This cell's share of the policy's allowance; below zero where it was lowered and others still hold theirs. */
  allowance: number
  /** Units that a count did not find and to which other cells hold the right; they are gathered and written off. */
  missing: number
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
  /** Over all cells: of two that set it at once, the greater version stands, then the greater name. */
  version: number
  writtenBy: CellName
  /** How many of the versions were not set here; the others are the events of this cell's log. */
  elsewhere: number
}

export type AdjustReason = 'received' | 'returned' | 'correction' | 'counted' | 'damaged' | 'lost'
export type Adjustment = {
  sku: Sku
  location: LocationCode
  /** Relative, or an absolute count as of an instant (null: of now). */
  change: ({ delta: number } | { set: number; asOf: Instant | null }) & { elsewhere?: Elsewhere }
  reason: AdjustReason
  /** Between whom units are split that were received: this cell first. Left out: they stay. */
  shares?: readonly CellShare[]
}

/** Units of a location that other cells had, when this one had sent so many more than it had received. */
export type Elsewhere = { units: number; sent: number }

/** A row after its adjustment, with all rows of its SKU; `ignored` when a later count stands. */
export type AdjustedRow = { row: StockRow; siblings: readonly StockRow[]; ignored: boolean }

export type RequestedLine = { sku: Sku; quantity: number }

export type AdjustStock = { kind: 'adjust_stock'; shopId: ShopId; adjustments: Adjustment[] }
export type SetPolicy = {
  kind: 'set_policy'
  shopId: ShopId
  policy: Pick<Policy, 'sku' | 'tracking' | 'allowance' | 'regions' | 'group'>
  ifVersion: number | null
}
export type PlaceHold = {
  kind: 'place_hold'
  shopId: ShopId
  holdId: Uuid
  lines: RequestedLine[]
  ttlMs: number
  /** With a key that names another cell: the others are told of it. */
  sharedKey?: SharedKey
}
export type ExtendHold = { kind: 'extend_hold'; shopId: ShopId; holdId: Uuid; ttlMs: number }
export type ReleaseHold = { kind: 'release_hold'; shopId: ShopId; holdId: Uuid }
/** All units and allowance of a SKU at a location that one cell ever sent another. */
export type Total = { sku: Sku; location: LocationCode; units: number; allowance: number }

/** How much of what is received goes to a cell, by comparison with the others' weights. */
export type CellShare = { cell: CellName; weight: number }

/** What a cell tells another of its want. `rate`: units a second that it sells; `available`: units it has left. */
export type Ask = {
  /** Units that somebody is waiting for. */
  need: number
  /** Units for the near future, as far as the other can spare them. */
  wanted: number
  rate: number
  available: number
  /** Only what lies there, and goods instead of a right to sell what is still to come. */
  location: LocationCode | null
  /** Units of a group may go too: somebody orders over groups of several cells. */
  evenIfGrouped: boolean
  /** Whoever asks has some of the SKU, or had. */
  isKnown: boolean
}

/** The giver's side of it. */
export type Stand = {
  rate: number
  /** Units that stay, unless somebody waits for them. */
  safety: number
  /** It is in want itself, and was first. */
  isElder: boolean
}

/** Gives another cell the right to sell units, as far as its ask and the stand of this cell go. */
export type SendUnits = { kind: 'send_units'; shopId: ShopId; sku: Sku; to: CellName; ask: Ask; own: Stand }
/** Credits what another cell has sent, by its totals. */
export type ReceiveUnits = {
  kind: 'receive_units'
  shopId: ShopId
  from: CellName
  totals: Total[]
  tracking: Tracking
}
/**
 * Gives the other cells all that nobody has reserved or bought: this cell leaves, or the policy says that the SKU is not sold
 * here. `shares`: of the others.
 */
export type HandOverUnits = {
  kind: 'hand_over_units'
  shopId: ShopId
  sku: Sku
  shares: readonly CellShare[]
  isLeaving: boolean
}
/** Sends again, on paper, what another cell has received and this one, which was set back, does not remember to have sent. */
export type RememberSent = { kind: 'remember_sent'; shopId: ShopId; to: CellName; totals: Total[] }
export type StockCommand =
  | AdjustStock
  | SetPolicy
  | PlaceHold
  | ExtendHold
  | ReleaseHold
  | SendUnits
  | ReceiveUnits
  | HandOverUnits
  | RememberSent

/** Of one stock row and one other cell: all units and allowance that ever went each way. Totals only grow. */
export type Transfer = {
  row: StockRowId
  peer: CellName
  sentUnits: number
  sentAllowance: number
  receivedUnits: number
  receivedAllowance: number
}

/** Units and allowance that were new; and how many totals are of places that are not known here yet, and have to come again. */
export type Received = { units: number; left: number }

/** Units that were new; those of them that are not here to be taken from; and places that are not known here yet. */
export type Remembered = { units: number; missing: number; left: number }

/** Answer to an ask. */
export type Sent = {
  /** Not known here: no row and no policy. */
  isKnown: boolean
  /** Its group's units are in this cell and stay together. */
  livesHere: boolean
  /** Units that were given now, and what the SKU has left here. */
  given: number
  left: number
  /** All that was ever sent to the asker, by location. */
  totals: Total[]
  tracking: Tracking
}

/** What GET /v1/stock tells of one SKU in this cell. */
export type StockLevel = { sku: Sku; rows: StockRow[]; asOf: Instant }

/** What a cell told of its part of a SKU, and how old that is. */
export type CellLevel = {
  cell: CellName
  sku: Sku
  tracking: Tracking
  asOf: Instant
  rows: (Pick<StockRow, 'location' | 'onHand' | 'reserved' | 'committed' | 'allowance' | 'missing'> & {
    /** Units that ever went to the other cell, and came from it. */
    transfers: { cell: CellName; sent: number; received: number }[]
    /** What all of them sent and did not receive, those with cells included that have left since. */
    netSent: number
  })[]
}

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
