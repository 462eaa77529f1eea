// What has happened to an order's money and goods, as it is answered: within the order, and part by part.
import { type CellName, type IdPrefix, toWireId, type Uuid } from '../../base/ids.ts'
import { toRfc3339 } from '../../base/time.ts'
import type { Dispute, Life, Payment, Refund, Return, Shipment } from './life.ts'
import type { Order } from './types.ts'

/** An order, and the cell that its parts' ids name. */
type Of = { order: Order; cell: CellName }

const idOf = (prefix: IdPrefix, { cell }: Of, id: Uuid): string => toWireId(prefix, cell, id)
const orderIdOf = (of: Of): string => idOf('ord', of, of.order.id)
const moneyOf = ({ order }: Of, amount: number) => ({ amount, currency: order.currency })
const skuAt = ({ order }: Of, line: number) => order.lines[line]!.sku

export const failureOf = ({ status, error }: Payment | Refund) =>
  status === 'failed' && error !== null ? { error: { code: error } } : {}

export const nextActionOf = ({ status, nextAction }: Payment) =>
  status === 'requires_action' && nextAction !== null ? { next_action: nextAction } : {}

export const paymentAnswer = (of: Of, payment: Payment) => ({
  id: idOf('pay', of, payment.id),
  order_id: orderIdOf(of),
  provider: payment.provider,
  status: payment.status,
  amount: moneyOf(of, payment.amount),
  ...(payment.captured > 0 ? { captured_amount: moneyOf(of, payment.captured) } : {}),
  ...failureOf(payment),
  ...nextActionOf(payment),
  ...(payment.status === 'authorized' && payment.authorizedUntil !== undefined
    ? { authorized_until: toRfc3339(payment.authorizedUntil) }
    : {}),
  ...(payment.dispute ? { dispute: disputeAnswer(of, payment.dispute) } : {}),
  created_at: toRfc3339(payment.openedAt),
})

const disputeAnswer = (of: Of, { status, amount, reason, reference }: Dispute) => ({
  status,
  amount: moneyOf(of, amount),
  reason,
  reference,
})

export const refundAnswer = (of: Of, refund: Refund) => ({
  id: idOf('rfd', of, refund.id),
  order_id: orderIdOf(of),
  payment_id: idOf('pay', of, refund.paymentId),
  status: refund.status,
  amount: moneyOf(of, refund.amount),
  ...(refund.reference === undefined ? {} : { by: 'provider', reference: refund.reference }),
  ...failureOf(refund),
  created_at: toRfc3339(refund.at),
})

export const shipmentAnswer = (of: Of, shipment: Shipment) => ({
  id: idOf('shp', of, shipment.id),
  order_id: orderIdOf(of),
  status: shipment.status,
  carrier: shipment.carrier,
  tracking_number: shipment.trackingNumber,
  lines: shipment.lines.map(({ line, quantity, location }) => ({ sku: skuAt(of, line), quantity, location })),
  created_at: toRfc3339(shipment.at),
  shipped_at: shipment.shippedAt === undefined ? null : toRfc3339(shipment.shippedAt),
  delivered_at: shipment.deliveredAt === null ? null : toRfc3339(shipment.deliveredAt),
})

export const returnAnswer = (of: Of, one: Return) => ({
  id: idOf('ret', of, one.id),
  order_id: orderIdOf(of),
  status: one.status,
  reason: one.reason,
  lines: one.lines.map(({ line, quantity }) => ({ sku: skuAt(of, line), quantity })),
  received: one.received.map(({ line, quantity, resellable }) => ({ sku: skuAt(of, line), quantity, resellable })),
  ...(one.exchangeOrderId === undefined ? {} : { exchange_order_id: idOf('ord', of, one.exchangeOrderId) }),
  created_at: toRfc3339(one.at),
})

/** The parts that stand in the order itself. */
export const partsAnswer = (of: Of, life: Life) => ({
  shipments: life.shipments.map((one) => shipmentAnswer(of, one)),
  returns: life.returns.map((one) => returnAnswer(of, one)),
  refunds: life.refunds.map((one) => refundAnswer(of, one)),
  risk: life.review === null ? null : { review: life.review, reasons: life.riskReasons },
})
