// What clients ask for once orders stand: to pay, to ship, to give back. Ids are those that clients were told, and units are now
// and then more than there are.
import type { LocationCode, ShopId, Uuid } from '../../src/base/ids.ts'
import type { MinorUnits } from '../../src/base/money.ts'
import type { Prng } from '../../src/base/prng.ts'
import type { EditOrder, LifeCommand, NewPayment } from '../../src/modules/orders/types.ts'
import type { RequestedLine } from '../../src/modules/stock/types.ts'
import { blankId } from './intents.ts'
import type { LifeKind } from './plan.ts'

/** Orders that clients were told of, and what they were told of them. */
export type KnownOrder = { shopId: ShopId; id: Uuid; lines: RequestedLine[] }
export type KnownParts = { orderId: Uuid; id: Uuid; lines: RequestedLine[] }
export type KnownLives = { orders: KnownOrder[]; shipments: KnownParts[]; returns: KnownParts[] }

export const newPayment = (): NewPayment => ({ id: blankId, provider: 'model', method: 'card' })

export function lifeCommand(
  kind: LifeKind,
  { known, shopId, locations, random }: { known: KnownLives; shopId: ShopId; locations: LocationCode[]; random: Prng },
): LifeCommand | null {
  const own = known.orders.filter((order) => order.shopId === shopId)
  if (own.length === 0) return null
  const order = random.chance(0.05) ? random.pick(known.orders) : random.pick(own)
  const on = { shopId, orderId: order.id, ifVersion: null }
  const part = (lines: RequestedLine[]) =>
    lines
      .slice(0, random.between(1, lines.length))
      .map(({ sku, quantity }) => ({ sku, quantity: random.between(1, quantity) }))
  const some = () => (random.chance(0.5) ? null : part(order.lines))
  switch (kind) {
    case 'pay':
      return { kind: 'start_payment', ...on, payment: newPayment() }
    case 'capture':
      return { kind: 'capture_order', ...on }
    case 'ship': {
      const location = random.chance(0.7) ? null : random.pick(locations)
      return {
        kind: 'ship_order',
        ...on,
        shipmentId: blankId,
        lines: some(),
        location,
        carrier: 'dhl',
        trackingNumber: '',
      }
    }
    case 'deliver': {
      const shipment = pickOf(known.shipments, random)
      return shipment && { kind: 'deliver_shipment', ...on, orderId: shipment.orderId, shipmentId: shipment.id }
    }
    case 'pick':
      return { kind: 'pick_order', ...on, shipmentId: blankId, lines: some(), location: random.pick(locations) }
    case 'pack':
    case 'dispatch':
    case 'give up': {
      const parcel = pickOf(known.shipments, random)
      if (!parcel) return null
      const { orderId, id: shipmentId } = parcel
      if (kind === 'dispatch')
        return { kind: 'ship_shipment', ...on, orderId, shipmentId, carrier: 'dhl', trackingNumber: '' }
      return { kind: kind === 'pack' ? 'pack_shipment' : 'cancel_shipment', ...on, orderId, shipmentId }
    }
    case 'short pick':
      return { kind: 'short_pick', ...on, location: random.pick(locations), lines: part(order.lines) }
    case 'return': {
      const { orderId, lines } = pickOf(known.shipments, random) ?? { orderId: order.id, lines: order.lines }
      return { kind: 'request_return', ...on, orderId, returnId: blankId, lines: part(lines), reason: '' }
    }
    case 'receive': {
      const back = pickOf(known.returns, random)
      if (!back) return null
      const lines = part(back.lines).map((line) => ({ ...line, resellable: random.chance(0.7) }))
      return { kind: 'receive_return', ...on, orderId: back.orderId, returnId: back.id, lines }
    }
    case 'refund': {
      const amount = random.pick([null, random.between(1, 2_000)]) as MinorUnits | null
      const lines = random.chance(0.5) ? part(order.lines) : null
      return { kind: 'refund_order', ...on, refundId: blankId, amount: lines ? null : amount, lines, reason: '' }
    }
    case 'edit':
      return { kind: 'edit_order', ...on, ...editOf(random) }
    case 'review':
      return { kind: 'review_order', ...on, approve: random.chance(0.7) }
  }
}

/** Some of the fields; what is left out stays as it is. */
function editOf(random: Prng): Pick<EditOrder, 'address' | 'email' | 'note' | 'tags' | 'metadata'> {
  const number = String(random.between(1, 1_000))
  const [some, other] = [random.chance(0.5), random.chance(0.5)]
  return {
    note: `note ${number}`,
    ...(some ? { tags: [number] } : {}),
    ...(other ? { metadata: { number } } : {}),
    ...(random.chance(0.3) ? { address: random.chance(0.8) ? { country: 'FR', city: number } : null } : {}),
    ...(random.chance(0.2) ? { email: `${number}@example.com` } : {}),
  }
}

const pickOf = <T>(items: readonly T[], random: Prng): T | null => (items.length > 0 ? random.pick(items) : null)
