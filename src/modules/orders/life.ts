// What happens to an order after its placing: payments, refunds, shipments, returns. A life is one value, never changed in place.
import type { LocationCode, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { MinorUnits } from '../../base/money.ts'
import type { Instant } from '../../base/time.ts'
import type { Allocation, StockRowId } from '../stock/types.ts'
import type { PaymentStatus, ReturnStatus, ShipmentStatus } from './states.ts'

/** When a shop takes the money: with the order, or when the first parcel leaves. */
export type CaptureRule = 'now' | 'at_shipment'

/** What time does to an order that is not paid. */
export type Timing = {
  /** How long it keeps its units while it waits for money. */
  reservationMs: number
  /** How long a provider keeps money set aside. */
  authorizationMs: number
  /** How long before the end of its authorization an order that was not shipped is paid or cancelled. */
  captureLeadMs: number
  atCaptureDeadline: 'capture' | 'cancel'
}

/** The shop's settings as they were when the order was placed. */
export type Terms = Timing & { captureRule: CaptureRule }
export const defaultTiming: Timing = {
  reservationMs: limits.orderReservationMsDefault,
  authorizationMs: limits.authorizationMsDefault,
  captureLeadMs: limits.captureLeadMsDefault,
  atCaptureDeadline: 'capture',
}
export const defaultTerms: Terms = { captureRule: 'now', ...defaultTiming }

/** One attempt to pay. Its id is the key under which the provider knows it. */
export type Payment = {
  id: Uuid
  provider: string
  method: string
  amount: MinorUnits
  /** Whether the provider is asked to take the money with the authorization. */
  capture: 'now' | 'later'
  status: PaymentStatus
  captured: MinorUnits
  /** What the provider has been asked beyond the authorization and has not answered yet. */
  asked: 'capture' | 'void' | null
  /** What was asked and given up by somebody: the order does not ask for it again by itself. */
  givenUp?: 'capture' | 'void'
  /** When the money that is set aside is ours no longer; from the authorization on. */
  authorizedUntil?: Instant
  /** The provider's own name for it. */
  reference: string | null
  /** Why it failed, in the provider's words. */
  error: string | null
  /** What the buyer has to do, as the provider says it. */
  nextAction: Record<string, unknown> | null
  openedAt: Instant
  /** That the buyer wants his money back through his bank; the latest. */
  dispute?: Dispute
}

/** `reference` and `reason` are the provider's words. */
export type Dispute = { reference: string; amount: MinorUnits; reason: string; status: 'open' | 'won' | 'lost' }

/**
 * Money on its way back. `failed`: the provider will not, or took it back after it had gone; it is still owed, and stands in the
 * dead letters until somebody sees to it.
 */
export type Refund = {
  id: Uuid
  paymentId: Uuid
  amount: MinorUnits
  status: 'pending' | 'refunded' | 'failed'
  at: Instant
  error: string | null
  /** The provider's own name of it, where it was made there and not asked for here. */
  reference?: string
  /** It is a dispute that was lost. */
  isDispute?: true
}

export type ShippedLine = { line: number; quantity: number; row: StockRowId; location: LocationCode }
export type Shipment = {
  id: Uuid
  status: ShipmentStatus
  lines: ShippedLine[]
  /** Null until it leaves. */
  carrier: string | null
  trackingNumber: string | null
  at: Instant
  /** Not there until it leaves. */
  shippedAt?: Instant
  deliveredAt: Instant | null
}

export type ReturnedLine = { line: number; quantity: number }
export type ReceivedLine = { line: number; quantity: number; resellable: boolean }
export type Return = {
  id: Uuid
  status: ReturnStatus
  reason: string
  lines: ReturnedLine[]
  received: ReceivedLine[]
  at: Instant
  /** The order that is sent in exchange for it. */
  exchangeOrderId?: Uuid
}

export type Life = {
  captureRule: CaptureRule
  /** Left out where it is the default, as it nearly always is. */
  timing?: Timing
  /** `open`: somebody has to look at the order before it is confirmed. */
  review: 'open' | 'approved' | 'refused' | null
  /** Why the risk assessment asks for it. */
  riskReasons: string[]
  /** When the reservation ends, once no payment is under way; begins anew when the money of an order is gone. */
  reservedUntil: Instant | null
  payments: Payment[]
  refunds: Refund[]
  shipments: Shipment[]
  returns: Return[]
  /** Units of each line that are neither shipped nor cancelled, and where they are; null while nothing was shipped or moved. */
  open: Allocation[][] | null
  /** Units of each line whose price was given back or will never be taken. */
  creditedUnits: number[]
  /** All that was given back or will never be taken of the order's total. */
  credited: MinorUnits
  /** The order of the same key in another cell that stands instead: this one is its duplicate, cancelled if that was still possible. */
  supersededBy?: string
}
