// Routes of an order's life: what is done to the order as a whole stands here, its payments and its goods in files of their own.
import type { FastifyInstance } from 'fastify'
import type { LocationCode } from '../../base/ids.ts'
import { orderRoute } from './carry-out.ts'
import { exchangeRoute } from './exchange-routes.ts'
import { goodsRoutes } from './goods-routes.ts'
import { paymentRoutes } from './payment-routes.ts'
import type { OrderRoutesOptions } from './routes.ts'
import * as schemas from './schemas.ts'
import { editOrderOf, requestedOf } from './service.ts'

export function lifeRoutes(app: FastifyInstance, options: OrderRoutesOptions): void {
  paymentRoutes(app, options)
  goodsRoutes(app, options)
  exchangeRoute(app, options)

  orderRoute<schemas.CancelBody>(app, options, {
    url: '/v1/orders/:id/cancel',
    operationId: 'cancelOrder',
    summary: 'Cancel an order, or some units of it',
    body: schemas.CancelBody,
    description:
      'All that is left, with the parcels that have not left; or some units, which are taken from no parcel.',
    refusals: ['line_not_found', 'order_cancelled', 'order_shipped', 'quantity_too_large', 'units_in_parcel'],
    command: (on, { reason, lines }) => ({
      kind: 'cancel_order',
      ...on,
      reason,
      lines: lines ? requestedOf(lines) : null,
    }),
  })
  orderRoute(app, options, {
    url: '/v1/orders/:id/capture',
    operationId: 'captureOrder',
    summary: 'Take the money of an authorized payment now',
    description: 'The provider is asked; `payment.status` tells when it has answered.',
    refusals: ['nothing_to_capture', 'order_cancelled'],
    command: (on) => ({ kind: 'capture_order', ...on }),
  })
  orderRoute(app, options, {
    url: '/v1/orders/:id/approve',
    operationId: 'approveOrder',
    summary: 'Let an order in review go on',
    refusals: ['not_in_review', 'order_cancelled'],
    command: (on) => ({ kind: 'review_order', ...on, approve: true }),
  })
  orderRoute(app, options, {
    url: '/v1/orders/:id/refuse',
    operationId: 'refuseOrder',
    summary: 'Cancel an order in review, money back',
    refusals: ['not_in_review', 'order_cancelled'],
    command: (on) => ({ kind: 'review_order', ...on, approve: false }),
  })
  orderRoute<schemas.ShortPickBody>(app, options, {
    url: '/v1/orders/:id/short-picks',
    operationId: 'reportShortPick',
    summary: 'Units that are not where they should be',
    description:
      'They are lost there, and as many as there are elsewhere are taken from there; what cannot be found is cancelled and its price goes back. Parcels that are being picked there lose them first; what is packed was found.',
    body: schemas.ShortPickBody,
    refusals: [
      'line_not_found',
      'order_cancelled',
      'order_not_confirmed',
      'order_shipped',
      'quantity_too_large',
      'units_in_parcel',
    ],
    command: (on, { location, lines }) => ({
      kind: 'short_pick',
      ...on,
      location: location as LocationCode,
      lines: requestedOf(lines),
    }),
  })
  orderRoute<schemas.EditBody>(app, options, {
    method: 'PATCH',
    url: '/v1/orders/:id',
    operationId: 'editOrder',
    summary: 'Change what is said about an order',
    description: 'What is left out stays as it is; null takes it away. The address only before anything was shipped.',
    body: schemas.EditBody,
    refusals: ['country_unknown', 'order_shipped'],
    command: (on, body) => editOrderOf(body, on),
  })
}
