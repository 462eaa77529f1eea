// The life of an order, a payment, a shipment and a return: one table each, from status to status and why. `next` refuses
// what is not in its table; docs/generated/STATES.md is drawn from them, and every transition has a test by name.
import { assert } from '../../base/assert.ts'

type Table<S extends string> = { readonly [From in S]: { readonly [To in S]?: string } }

export type OrderStatus = 'pending' | 'in_review' | 'confirmed' | 'completed' | 'cancelled'
/** Units are reserved in `pending` and `in_review`, committed from `confirmed` until they are shipped. */
export const orderTable: Table<OrderStatus> = {
  pending: {
    in_review: 'paid, and somebody is to look at it first',
    confirmed: 'paid',
    cancelled: 'by someone, or `unpaid` when its reservation ran out',
  },
  in_review: {
    pending: 'its money is gone: declined when it was to be taken, or the authorization ran out',
    confirmed: 'approved',
    cancelled: 'refused, or by someone, or `unpaid` at its capture deadline in a shop that cancels then',
  },
  confirmed: {
    pending:
      'its money is gone before anything was shipped: declined when it was to be taken, or the authorization ran out',
    completed: 'captured, and every unit shipped or cancelled',
    cancelled:
      'before anything was shipped: by someone, or `unpaid` at its capture deadline in a shop that cancels then',
  },
  completed: {},
  cancelled: {},
}

export type PaymentStatus = 'pending' | 'requires_action' | 'authorized' | 'captured' | 'failed' | 'voided'
/** What the provider says is true, however late: a failed payment that turns out to be charged is charged. */
export const paymentTable: Table<PaymentStatus> = {
  pending: {
    requires_action: 'the buyer has to do something',
    authorized: 'the provider has reserved the money',
    captured: 'the provider has taken the money',
    failed: 'declined, or the provider never heard of it, or it was given up by hand',
    voided: 'given up before it was authorized',
  },
  requires_action: {
    authorized: 'the buyer did it',
    captured: 'the buyer did it, and the money was taken',
    failed: 'declined, or given up by hand',
    voided: 'given up: the order ended first',
  },
  authorized: {
    captured: 'the money was taken',
    failed: 'the capture was declined',
    voided: 'given back untaken, or the authorization ran out',
  },
  captured: {},
  failed: { authorized: 'it was authorized after all', captured: 'it was taken after all' },
  voided: { captured: 'it was taken after all' },
}

export type ShipmentStatus = 'picking' | 'packed' | 'shipped' | 'delivered' | 'cancelled'
/** Its units are spoken for in `picking` and `packed`, and leave with `shipped`, in which a parcel may also begin. */
export const shipmentTable: Table<ShipmentStatus> = {
  picking: {
    packed: 'all of it was found',
    cancelled: 'given up, or nothing of it was found, or its order was cancelled',
  },
  packed: { shipped: 'it leaves', cancelled: 'given up, or its order was cancelled' },
  shipped: { delivered: 'the carrier, or the shop, says so' },
  delivered: {},
  cancelled: {},
}

export type ReturnStatus = 'requested' | 'received'
export const returnTable: Table<ReturnStatus> = {
  requested: { received: 'the goods are back' },
  received: {},
}

export const stateTables = { order: orderTable, payment: paymentTable, shipment: shipmentTable, return: returnTable }

export const mayBecome = <S extends string>(table: Table<S>, from: NoInfer<S>, to: NoInfer<S>): boolean =>
  table[from][to] !== undefined

/** `to`, if the table has it after `from`; else it is a fault of ours. */
export function next<S extends string, To extends S>(table: Table<S>, from: NoInfer<S>, to: To): To {
  assert(mayBecome(table, from, to), `${from} does not become ${to}`)
  return to
}
