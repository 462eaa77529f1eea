// Words of orders: what is immutable (the document), what changes (the state and the life), what is personal, and the commands.
import type { CellName, LocationCode, ShopId, Sku, Uuid } from '../../base/ids.ts'
import type { Currency, MinorUnits } from '../../base/money.ts'
import type { Outcome } from '../../base/result.ts'
import type { Instant } from '../../base/time.ts'
import type { Span } from '../../runtime/tracing.ts'
import type {
  AdjustedRow,
  Allocation,
  Hold,
  Policy,
  Received,
  Remembered,
  RequestedLine,
  Sent,
  StockCommand,
} from '../stock/types.ts'
import type { Dispute, Life, Terms } from './life.ts'
import type { OrderStatus } from './states.ts'

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
  /** What it is sent in exchange for; left out where it is for nothing. */
  exchangeOf?: ExchangeOf
}
/** The order whose goods come back, and the return that they come back with. */
export type ExchangeOf = { orderId: Uuid; returnId: Uuid }

export type CancelReason = 'unpaid' | 'buyer' | 'merchant' | 'fraud' | 'duplicate' | 'short'

/** The narrow row that changes. */
export type OrderState = {
  status: OrderStatus
  version: number
  cancelReason: CancelReason | null
  /** Units cancelled of each line, in the order of the lines; null when none is. */
  cancelled: number[] | null
  /** When time next has a say in it (due.ts): while it is pending, when its reservation ends. */
  expiresAt: Instant | null
  updatedAt: Instant
  /** Null as long as nothing has happened but placing, confirming and cancelling. */
  life: Life | null
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
  /** An attempt to pay that begins with the order. */
  payment: NewPayment | null
  terms: Terms
  /** Why somebody has to look at the order before it is confirmed; null when nobody has to. */
  review: string[] | null
  /** Why it may not be placed at all, unless its key has placed it already. */
  refusal?: string[]
  /** Its key names no cell, or another, which may take it too: the order's event tells of it. */
  sharedKey?: SharedKey
  /** An import's own time; null means now. */
  placedAt: Instant | null
  exchangeOf?: ExchangeOf
  personal: Personal | null
  annotations: Annotations | null
}
export type NewPayment = { id: Uuid; provider: string; method: string }
/** What every command on an order says, before it says what is to be done. */
export type OnOrder = { shopId: ShopId; orderId: Uuid; ifVersion: number | null }

/** It has the same key as an order of another cell, whose id `by` is. A paid one stays as it is where the command says `unlessPaid`. */
export type SupersedeOrder = OnOrder & { kind: 'supersede_order'; by: string; unlessPaid: boolean }

/** Null lines: all that is left. */
export type CancelOrder = OnOrder & { kind: 'cancel_order'; reason: CancelReason; lines: RequestedLine[] | null }

export type StartPayment = OnOrder & { kind: 'start_payment'; payment: NewPayment }
/** What a provider says of a payment or a refund. Said twice, or by a webhook and an answer, it counts once. */
export type Settle = { kind: 'settle'; shopId: ShopId; orderId: Uuid; settlement: Settlement }
export type Settlement =
  | { of: 'payment'; id: Uuid; says: 'authorized'; reference: string | null }
  | { of: 'payment'; id: Uuid; says: 'captured'; reference: string | null; amount: MinorUnits }
  | { of: 'payment'; id: Uuid; says: 'requires_action'; reference: string | null; nextAction: Record<string, unknown> }
  | { of: 'payment'; id: Uuid; says: 'failed'; error: string }
  | { of: 'payment'; id: Uuid; says: 'voided' }
  /** Nobody asks the provider any more: somebody has dropped the operation. What the provider says later still counts. */
  | { of: 'payment'; id: Uuid; says: 'given_up'; operation: 'authorize' | 'capture' | 'void' }
  | { of: 'refund'; id: Uuid; says: 'refunded' }
  | { of: 'refund'; id: Uuid; says: 'failed'; error: string }
  | FoundRefund
  | FoundDispute
/** Made at the provider itself: nobody here has asked for it. `id` is made of its `reference`, the provider's name of it. */
export type FoundRefund = { of: 'found_refund'; id: Uuid; paymentId: Uuid; reference: string; amount: MinorUnits } & (
  | { says: 'refunded' }
  | { says: 'failed'; error: string }
)
/** `id` is that of the refund that a lost one amounts to. */
export type FoundDispute = { of: 'dispute'; id: Uuid; paymentId: Uuid; says: Dispute['status'] } & Omit<
  Dispute,
  'status'
>
/** Takes the money of an authorized payment now. */
export type CaptureOrder = OnOrder & { kind: 'capture_order' }
/** Gives money back: an amount, the price of some units, or all that is left. */
export type RefundOrder = OnOrder & {
  kind: 'refund_order'
  /** Of the refund; where it takes several, of the first. */
  refundId: Uuid
  amount: MinorUnits | null
  lines: RequestedLine[] | null
  reason: string
}
/** Null lines: all that is left. */
export type ShipOrder = OnOrder & {
  kind: 'ship_order'
  shipmentId: Uuid
  lines: RequestedLine[] | null
  location: LocationCode | null
  carrier: string
  trackingNumber: string
}
/** Begins a parcel with units of one location; null lines: all that is in none yet. */
export type PickOrder = OnOrder & {
  kind: 'pick_order'
  shipmentId: Uuid
  lines: RequestedLine[] | null
  location: LocationCode
}
export type OnShipment = OnOrder & { shipmentId: Uuid }
export type PackShipment = OnShipment & { kind: 'pack_shipment' }
export type ShipShipment = OnShipment & { kind: 'ship_shipment'; carrier: string; trackingNumber: string }
/** Its units are in no parcel again. */
export type CancelShipment = OnShipment & { kind: 'cancel_shipment' }
export type DeliverShipment = OnShipment & { kind: 'deliver_shipment' }
/** Units that were not found where they should be: found elsewhere, or cancelled and refunded. */
export type ShortPick = OnOrder & { kind: 'short_pick'; location: LocationCode; lines: RequestedLine[] }
export type RequestReturn = OnOrder & { kind: 'request_return'; returnId: Uuid; lines: RequestedLine[]; reason: string }
export type ReceiveReturn = OnOrder & {
  kind: 'receive_return'
  returnId: Uuid
  lines: (RequestedLine & { resellable: boolean })[]
}
export type ReviewOrder = OnOrder & { kind: 'review_order'; approve: boolean }
/** What is undefined stays as it is. */
export type EditOrder = OnOrder & {
  kind: 'edit_order'
  email?: string | null
  address?: Record<string, string> | null
  note?: string | null
  tags?: string[]
  metadata?: Record<string, string>
}
/** A return and the order that is sent for it: both are made, or neither. */
export type ExchangeOrder = OnOrder & {
  kind: 'exchange_order'
  returnId: Uuid
  lines: RequestedLine[]
  reason: string
  order: PlaceOrder
}
export type LifeCommand =
  | CancelOrder
  | SupersedeOrder
  | StartPayment
  | Settle
  | CaptureOrder
  | RefundOrder
  | ShipOrder
  | PickOrder
  | PackShipment
  | ShipShipment
  | CancelShipment
  | DeliverShipment
  | ShortPick
  | RequestReturn
  | ReceiveReturn
  | ExchangeOrder
  | ReviewOrder
  | EditOrder

/** Sent by the sweeper: expires what is due, whatever its SKU. */
export type ExpireDue = { kind: 'expire_due'; limit: number }

export type Command = StockCommand | PlaceOrder | LifeCommand | RememberKey | ExpireDue

/** Said with a key that another cell has taken, or is about to: a retry is answered from there. Null: what it makes has no id. */
export type RememberKey = { kind: 'remember_key'; shopId: ShopId; resultId: Uuid | null; takenBy: CellName }

/** SHA-256 prefixes as 32 hex characters: of (visitor, key), and of (method, path, canonical body). */
export type IdempotencyKey = { hash: string; request: string }
/** `names`: the cell whose name the key begins with. */
export type SharedKey = IdempotencyKey & { names: CellName | null }

/** A command as the engine takes it: made once, kept over reruns. */
export type Submission = {
  command: Command
  key: IdempotencyKey | null
  deadline: Instant
  /** Of the request that it comes from, where that is sampled. */
  span?: Span | null
}

export type Value =
  | { kind: 'order'; order: Order }
  | { kind: 'hold'; hold: Hold }
  | { kind: 'adjusted'; rows: AdjustedRow[] }
  | { kind: 'policy'; policy: Policy }
  | { kind: 'sent'; sent: Sent }
  | { kind: 'received'; received: Received }
  | { kind: 'remembered'; remembered: Remembered }
  | { kind: 'expired'; count: number }
  | { kind: 'key_remembered' }
  /** The key's first request made this, in the cell `takenBy` if that is not null; read it for its present state. */
  | { kind: 'earlier'; resultId: Uuid | null; takenBy: CellName | null }

export type CommandOutcome = Outcome<Value>
