// Words of fulfilment: what is to be done about a confirmed order at a location.
import type { LocationCode, ShopId, Sku, Uuid } from '../../base/ids.ts'

/** Units in no parcel; a parcel that is being picked; one that is packed and has not left. */
export const workStatuses = ['to_pick', 'picking', 'packed'] as const
export type WorkStatus = (typeof workStatuses)[number]

export type Work = {
  location: LocationCode
  /** Each status that something there has, the least advanced first. */
  statuses: WorkStatus[]
  /** Units that are in no parcel. */
  lines: { sku: Sku; quantity: number }[]
  /** Parcels that have not left, as shipments are answered. */
  shipments: object[]
}

export type ShopOrder = { shopId: ShopId; orderId: Uuid }
