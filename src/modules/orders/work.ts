// What a warehouse has to do about an order, location by location: units that are in no parcel, and parcels that have not left.
import type { CellName, LocationCode, Sku } from '../../base/ids.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { bareArray } from '../../runtime/pg-values.ts'
import type { ShopOrder, Work, WorkStatus } from '../fulfilment/types.ts'
import { freeAllocations } from './batch-state.ts'
import type { Life, Shipment } from './life.ts'
import { shipmentAnswer } from './life-answers.ts'
import { openParcels } from './parcels.ts'
import type { Order, OrderDocument } from './types.ts'

type Goods = Pick<Order, 'status' | 'lines' | 'cancelled' | 'life'>
type Place = { lines: Map<Sku, number>; parcels: Shipment[] }

/** Nothing unless the order is confirmed: before, it is not paid, and after, nothing is open. */
function placesOf(order: Goods): Map<LocationCode, Place> {
  const places = new Map<LocationCode, Place>()
  if (order.status !== 'confirmed') return places
  const at = (location: LocationCode): Place => {
    const place = places.get(location) ?? { lines: new Map(), parcels: [] }
    places.set(location, place)
    return place
  }
  for (const [index, { sku }] of order.lines.entries()) {
    for (const { location, quantity } of freeAllocations(order, index)) {
      const { lines } = at(location)
      lines.set(sku, (lines.get(sku) ?? 0) + quantity)
    }
  }
  // A parcel is picked at one location.
  if (order.life) for (const parcel of openParcels(order.life)) at(parcel.lines[0]!.location).parcels.push(parcel)
  return places
}

function statusesOf({ lines, parcels }: Place): WorkStatus[] {
  const has = (status: Shipment['status']): boolean => parcels.some((parcel) => parcel.status === status)
  return [
    ...(lines.size > 0 ? (['to_pick'] as const) : []),
    ...(has('picking') ? (['picking'] as const) : []),
    ...(has('packed') ? (['packed'] as const) : []),
  ]
}

export const workOf = (order: Order, cell: CellName): Work[] =>
  [...placesOf(order)].map(([location, place]) => ({
    location,
    statuses: statusesOf(place),
    lines: [...place.lines].map(([sku, quantity]) => ({ sku, quantity })),
    shipments: place.parcels.map((parcel) => shipmentAnswer({ order, cell }, parcel)),
  }))

const readGoodsSql = `
  select s.shop_id as "shopId", s.id as "orderId", s.status, to_json(s.cancelled) as cancelled, s.life,
    o.document -> 'lines' as lines
  from unnest($1::integer[], $2::uuid[]) u(shop_id, id)
  join orders.states s on s.shop_id = u.shop_id and s.id = u.id
  join orders.orders o on o.shop_id = u.shop_id and o.id = u.id
  where s.status = 'confirmed'`

type GoodsRecord = ShopOrder & {
  status: Order['status']
  cancelled: number[] | null
  life: Life | null
  lines: OrderDocument['lines']
}

/** Of those among the orders that are confirmed, as they are now. */
export async function readOrderWork(session: Session, orders: readonly ShopOrder[]) {
  const params = [bareArray(orders.map((one) => one.shopId)), bareArray(orders.map((one) => one.orderId))]
  const found = await session.run<GoodsRecord>(readGoodsSql, params)
  return found.map(({ shopId, orderId, ...goods }) => ({
    shopId,
    orderId,
    work: [...placesOf(goods)].map(([location, place]) => ({ location, statuses: statusesOf(place) })),
  }))
}
