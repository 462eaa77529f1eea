// Words of orders: what is immutable (the document), what changes (the state), what is personal, and the commands.
import type { ShopId, Sku, Uuid } from '../../base/ids.ts'
import type { Currency, MinorUnits } from '../../base/money.ts'
import type { Outcome } from '../../base/result.ts'
import type { Instant } from '../../base/time.ts'
import type { AdjustedRow, Allocation, Hold, Policy, StockCommand } from '../stock/types.ts'

export type OrderLine = {
  sku: Sku
  quantity: number
  /** Null where an import gave only the line's amount. */
  unitPrice: MinorUnits | null
  amount: MinorUnits
  allocations: Allocation[]
}

/** Written once, at placement. */
export type OrderDocument = {
  currency: Currency
  total: MinorUnits
  lines: OrderLine[]
  /** The caller's own word for the customer; opaque to us. */
  customer: string | null
  reference: string | null
  provider: 'none' | null
  holdId: Uuid | null
  placedAt: Instant
}

/*
 * An order's life, as far as orders without a payment provider go. Units are reserved in `pending`, committed in `confirmed`.
 *   pending   -> confirmed   paid
 *   pending   -> cancelled   by someone, or `unpaid` when its reservation ran out
 *   confirmed -> cancelled   by someone
 */
export type OrderStatus = 'pending' | 'confirmed' | 'cancelled'
export type CancelReason = 'unpaid' | 'buyer' | 'merchant' | 'fraud' | 'duplicate' | 'short'

/** The narrow row that changes. */
export type OrderState = {
  status: OrderStatus
  version: number
  cancelReason: CancelReason | null
  /** Units cancelled of each line, in the order of the lines; null when none is. */
  cancelled: number[] | null
  expiresAt: Instant | null
  updatedAt: Instant
}

/** Has a table of its own; never in events, logs or keys. */
export type Personal = { email: string | null; address: Record<string, string> | null; note: string | null }
export type Annotations = { tags: string[]; metadata: Record<string, string> }

export type Order = OrderDocument &
  OrderState & { shopId: ShopId; id: Uuid; personal: Personal | null; annotations: Annotations | null }

export type PlaceOrder = {
  kind: 'place_order'
  shopId: ShopId
  orderId: Uuid
  currency: Currency
  lines: { sku: Sku; quantity: number; unitPrice: MinorUnits | null; amount: MinorUnits }[]
  holdId: Uuid | null
  customer: string | null
  reference: string | null
  provider: 'none' | null
  /** An import's own time; null means now. */
  placedAt: Instant | null
  personal: Personal | null
  annotations: Annotations | null
}
export type CancelOrder = {
  kind: 'cancel_order'
  shopId: ShopId
  orderId: Uuid
  reason: CancelReason
  /** Null: all that is left. */
  lines: { sku: Sku; quantity: number }[] | null
  ifVersion: number | null
}
/** Sent by the sweeper: expires what is due, whatever its SKU. */
export type ExpireDue = { kind: 'expire_due'; limit: number }

export type Command = StockCommand | PlaceOrder | CancelOrder | ExpireDue

/** SHA-256 prefixes as 32 hex characters: of (visitor, key), and of (method, path, canonical body). */
export type IdempotencyKey = { hash: string; request: string }

/** A command as the engine takes it: made once, kept over reruns. */
export type Submission = { command: Command; key: IdempotencyKey | null; deadline: Instant }

export type Value =
  | { kind: 'order'; order: Order }
  | { kind: 'hold'; hold: Hold }
  | { kind: 'adjusted'; rows: AdjustedRow[] }
  | { kind: 'policy'; policy: Policy }
  | { kind: 'expired'; count: number }
  /** The key's first request made this; read it for its present state. */
  | { kind: 'earlier'; resultId: Uuid | null }

export type CommandOutcome = Outcome<Value>
