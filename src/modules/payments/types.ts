// Words of payments: what is asked of a provider, and what it answers. A provider is asked under a key that is the same on
// every try, so that asking twice does once; when no answer comes, it is asked what became of the key before anything else.
import type { ShopId, Uuid } from '../../base/ids.ts'
import type { Currency, MinorUnits } from '../../base/money.ts'
import type { Instant } from '../../base/time.ts'
import type { Order } from '../orders/types.ts'

/** An attempt to pay, as its order has it. */
export type OrderPayment = NonNullable<Order['life']>['payments'][number]

export type OperationKind = 'authorize' | 'capture' | 'void' | 'refund'

/**
 * One thing to be done with an order's money. Its row is committed before the provider hears of it, except of an attempt that is
 * called at once: then the order's pending payment is the record.
 */
export type Operation = {
  shopId: ShopId
  /** The provider's idempotency key: the payment's id for `authorize`, the refund's for `refund`, one of its own for the others. */
  id: Uuid
  kind: OperationKind
  provider: string
  orderId: Uuid
  paymentId: Uuid
  amount: MinorUnits
  currency: Currency
  /** What the buyer pays with; `authorize` only. */
  method: string
  /** Whether the money is to be taken with the authorization; `authorize` only. */
  capture: 'now' | 'later'
  /** The provider's own name of the payment, once it has given one. */
  reference: string | null
  /** The refund that it is for, where the key is another one: a refund that was tried again by hand. */
  refundId?: Uuid | null
  /** When the order asked for it: from 23 h on it is only looked up, never sent, since providers forget keys after 24 h. */
  askedAt: Instant
}

/** What became of an operation. Anything else (a time-out, a 5xx, a lost connection) is thrown and means: unknown. */
export type Answer =
  | { says: 'authorized' | 'captured' | 'voided' | 'refunded'; reference: string | null; amount: MinorUnits }
  | { says: 'requires_action'; reference: string | null; nextAction: Record<string, unknown> }
  /** It will never happen under this key. `error` is a stable word, such as `card_declined`. */
  | { says: 'failed'; error: string }

/** An answer that may come later, or not at all: the operation stays open and is looked up. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown'
}

/** The provider says that it did nothing, and that the same key may be tried again after a while (429, 500 before it began). */
export class TryAgain extends Error {
  override readonly name = 'TryAgain'
}

export type Provider = {
  readonly name: string
  /** How many calls it takes at once; `providerCallsMax` unless it says so. */
  readonly callsMax?: number
  /** Whether a method makes sense; asked before an order is taken. */
  accepts(method: string): boolean
  /**
   * Does it, or answers what the same key did before; `in_progress` when it has begun, and its end is to be looked up. Throws
   * TryAgain, or anything else for an unknown outcome.
   */
  perform(operation: Operation, signal: AbortSignal): Promise<Answer | 'in_progress'>
  /** What became of the key: `never_heard` only if the provider is sure that it did nothing under it. */
  lookUp(operation: Operation, signal: AbortSignal): Promise<Answer | 'never_heard' | 'in_progress'>
  /** Everything it holds for an order, for reconciliation and the audit. */
  charges(query: ChargesQuery): Promise<Charge[]>
}

/** Of one order, or of all from `after` on. When `signal` is aborted, it ends at once with an exception. */
export type ChargesQuery = {
  shopId: ShopId
  orderId: Uuid | null
  after: string | null
  limit: number
  signal?: AbortSignal | undefined
}

/** A provider's own record of one payment. */
export type Charge = {
  id: string
  orderId: Uuid
  /** The key it was asked under. */
  paymentId: Uuid
  amount: MinorUnits
  currency: Currency
  captured: MinorUnits
  refunded: MinorUnits
  status: 'authorized' | 'captured' | 'refunded' | 'voided' | 'failed'
  /** Refunds among `refunded` that were made at the provider itself, and not asked for by us. */
  foundRefunds?: { id: Uuid; reference: string; amount: MinorUnits }[]
}
