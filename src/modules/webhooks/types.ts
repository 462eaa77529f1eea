// Words of webhooks: an endpoint is told of events by deliveries, each of which is attempted until it is delivered or dead.
import type { ShopId, Uuid } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'

export const disabledReasons = ['asked', 'gone', 'failing'] as const
export type DisabledReason = (typeof disabledReasons)[number]

export type Endpoint = {
  shopId: ShopId
  id: Uuid
  url: string
  types: string[]
  enabled: boolean
  disabledReason: DisabledReason | null
  secret: string
  oldSecret: string | null
  oldSecretUntil: Instant | null
  failingSince: Instant | null
  createdAt: Instant
}

export const deadReasons = ['attempts_exhausted', 'endpoint_gone', 'endpoint_disabled', 'event_gone'] as const
/** Why a delivery is not tried any more. */
export type DeadReason = (typeof deadReasons)[number]

/** What stands for an event at an endpoint. */
export type Delivery = {
  id: number
  shopId: ShopId
  endpointId: Uuid
  eventId: Uuid
  type: string
  subject: string
  eventSeq: number | null
  body: string | null
  state: DeliveryState
  attempts: number
  tries: number
  nextAt: Instant | null
  reason: DeadReason | null
  createdAt: Instant
  updatedAt: Instant
}
/** `dropped`: dead, and given up for good by hand. */
export type DeliveryState = 'ready' | 'waiting' | 'delivered' | 'dead' | 'dropped'

/** `ready` and `waiting` are one to the caller. */
export const deliveryStatuses = ['pending', 'delivered', 'dead', 'dropped'] as const
export type DeliveryStatus = (typeof deliveryStatuses)[number]

/** What came of one request. Without an answer `status` is null and `error` says why. */
export type Attempt = { at: Instant; ms: number; status: number | null; answer: string; error: string | null }

/** What a delivery becomes after an attempt. */
export type Verdict =
  | { state: 'delivered' }
  | { state: 'waiting'; nextAt: Instant }
  | { state: 'dead'; reason: DeadReason }
