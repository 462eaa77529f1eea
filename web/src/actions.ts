// What may be done to an order, a parcel, a return: what its state allows, as docs/generated/STATES.md has it, and the key's
// scopes. The server decides again; this only keeps what it would refuse out of sight.
import type { Order, Return, Shipment } from '@holdfast/sdk'

export type Scopes = ReadonlySet<string>

export type OrderAction = 'approve' | 'refuse' | 'capture' | 'ship' | 'return' | 'refund' | 'cancel'
export type ShipmentAction = 'pack' | 'ship' | 'deliver' | 'cancel'

type Line = Order['lines'][number]

export const unitsToShip = ({ quantity, cancelled_quantity, shipped_quantity }: Line): number =>
  quantity - cancelled_quantity - shipped_quantity

/** Of a SKU in an order: shipped, and not announced to come back. */
export function unitsToReturn(order: Order, sku: string): number {
  const shipped = order.lines.filter((line) => line.sku === sku).reduce((sum, line) => sum + line.shipped_quantity, 0)
  const returned = order.returns.flatMap(({ lines }) => lines).filter((line) => line.sku === sku)
  return shipped - returned.reduce((sum, line) => sum + line.quantity, 0)
}

const isOpen = ({ status }: Order): boolean => status === 'pending' || status === 'in_review' || status === 'confirmed'
const hasUnitsToShip = (order: Order): boolean => order.lines.some((line) => unitsToShip(line) > 0)
const hasUnitsToReturn = (order: Order): boolean => order.lines.some(({ sku }) => unitsToReturn(order, sku) > 0)

const orderRules: Record<OrderAction, (order: Order) => boolean> = {
  approve: ({ status }) => status === 'in_review',
  refuse: ({ status }) => status === 'in_review',
  capture: (order) => order.payment.status === 'authorized' && isOpen(order),
  ship: (order) => order.status === 'confirmed' && hasUnitsToShip(order),
  return: hasUnitsToReturn,
  refund: ({ payment }) => payment.status === 'captured' || payment.status === 'partially_refunded',
  cancel: (order) => isOpen(order) && hasUnitsToShip(order),
}

const shipmentRules: Record<ShipmentAction, readonly Shipment['status'][]> = {
  pack: ['picking'],
  ship: ['packed'],
  deliver: ['shipped'],
  cancel: ['picking', 'packed'],
}

const allowed = <Name extends string>(names: readonly Name[], scopes: Scopes, may: (name: Name) => boolean): Name[] =>
  scopes.has('orders:write') ? names.filter(may) : []

export const orderActions = (order: Order, scopes: Scopes): OrderAction[] =>
  allowed(Object.keys(orderRules) as OrderAction[], scopes, (name) => orderRules[name](order))

export const shipmentActions = ({ status }: Shipment, scopes: Scopes): ShipmentAction[] =>
  allowed(Object.keys(shipmentRules) as ShipmentAction[], scopes, (name) => shipmentRules[name].includes(status))

export const mayReceive = ({ status }: Return, scopes: Scopes): boolean =>
  status === 'requested' && scopes.has('orders:write')
