// Routes of an order's goods: shipments and returns, each with an id of its own.
import type { FastifyInstance } from 'fastify'
import { type LocationCode, toWireId, type Uuid } from '../../base/ids.ts'
import { refused } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import { sendJson, sendRefused } from '../../runtime/http.ts'
import { documented, type RouteDocument } from '../../runtime/http-document.ts'
import { carryOut, findOrder, findPart, partOf } from './carry-out.ts'
import { returnAnswer, shipmentAnswer } from './life-answers.ts'
import { lifeOf } from './money.ts'
import type { OrderRoutesOptions } from './routes.ts'
import * as schemas from './schemas.ts'
import { requestedOf } from './service.ts'
import type { LifeCommand, OnShipment, Order } from './types.ts'

type Id = { Params: { id: string } }

export function goodsRoutes(app: FastifyInstance, options: OrderRoutesOptions): void {
  shipRoute(app, options)
  pickRoute(app, options)
  shipmentRoutes(app, options)
  returnRoutes(app, options)
  receiveRoute(app, options)
}

function shipRoute(app: FastifyInstance, options: OrderRoutesOptions): void {
  const { cell, guard } = options
  app.post<Id & { Body: schemas.ShipmentBody }>(
    '/v1/orders/:id/shipments',
    {
      onRequest: guard.allow('orders:write'),
      schema: documented({
        operationId: 'shipOrder',
        summary: 'Ship what is left of an order, or some units of it',
        description:
          'Of a shipment and a cancellation at the same time exactly one wins. Units in a parcel that has not left are not among what is left.',
        tags: ['orders'],
        keyed: true,
        versioned: true,
        params: schemas.IdParams,
        body: schemas.ShipmentBody,
        answers: { 201: ref('Shipment') },
        refusals: refusalsOfParcel,
      }),
    },
    async (request, reply) => {
      const { lines, location, carrier, tracking_number: trackingNumber } = request.body
      const done = await carryOut(options, request, reply, {
        find: () => findOrder(options, request.params),
        command: (on, shipmentId) => ({
          kind: 'ship_order',
          ...on,
          shipmentId,
          lines: lines ? requestedOf(lines) : null,
          location: (location as LocationCode | undefined) ?? null,
          carrier,
          trackingNumber,
        }),
      })
      if ('code' in done) return sendRefused(reply, done)
      reply.header('location', `/v1/shipments/${toWireId('shp', cell, done.id)}`)
      return sendJson(reply, 201, shipmentJson(options, done))
    },
  )
}

function pickRoute(app: FastifyInstance, options: OrderRoutesOptions): void {
  const { cell, guard } = options
  app.post<Id & { Body: schemas.PickBody }>(
    '/v1/orders/:id/picks',
    {
      onRequest: guard.allow('orders:write'),
      schema: documented({
        operationId: 'pickOrder',
        summary: 'Take on units of an order at a location, to be packed',
        description:
          'Makes a shipment in `picking`, of the units named or of all that are in none there. They are in no other parcel from then on, and leave stock when it is shipped.',
        tags: ['orders'],
        keyed: true,
        versioned: true,
        params: schemas.IdParams,
        body: schemas.PickBody,
        answers: { 201: ref('Shipment') },
        refusals: refusalsOfParcel,
      }),
    },
    async (request, reply) => {
      const { lines, location } = request.body
      const done = await carryOut(options, request, reply, {
        find: () => findOrder(options, request.params),
        command: (on, shipmentId) => ({
          kind: 'pick_order',
          ...on,
          shipmentId,
          lines: lines ? requestedOf(lines) : null,
          location: location as LocationCode,
        }),
      })
      if ('code' in done) return sendRefused(reply, done)
      reply.header('location', `/v1/shipments/${toWireId('shp', cell, done.id)}`)
      return sendJson(reply, 201, shipmentJson(options, done))
    },
  )
}

/** Of what makes a parcel. */
const refusalsOfParcel: RouteDocument['refusals'] = [
  'insufficient_stock',
  'line_not_found',
  'not_found',
  'nothing_to_ship',
  'order_cancelled',
  'order_not_confirmed',
  'order_not_paid',
  'order_shipped',
  'precondition_failed',
  'quantity_too_large',
  'too_many_parts',
  'units_in_parcel',
]

type Made = { order: Order; id: Uuid }

const shipmentJson = ({ cell }: OrderRoutesOptions, { order, id }: Made): string =>
  JSON.stringify(shipmentAnswer({ order, cell }, partOf(lifeOf(order).shipments, id)))

const returnJson = ({ cell }: OrderRoutesOptions, { order, id }: Made): string =>
  JSON.stringify(returnAnswer({ order, cell }, partOf(lifeOf(order).returns, id)))

function shipmentRoutes(app: FastifyInstance, options: OrderRoutesOptions): void {
  const { guard, readOrder } = options
  app.get<Id>(
    '/v1/shipments/:id',
    {
      onRequest: guard.allow('orders:read'),
      schema: documented({
        operationId: 'getShipment',
        summary: 'A shipment',
        tags: ['orders'],
        params: schemas.IdParams,
        answers: { 200: ref('Shipment') },
        refusals: ['not_found'],
      }),
    },
    async (request, reply) => {
      const part = await findPart(options, request, 'shp')
      const order = part && (await readOrder(request.principal.shopId, part.orderId))
      if (!order) return sendRefused(reply, refused('not_found'))
      return sendJson(reply, 200, shipmentJson(options, { order, id: part.id }))
    },
  )

  changeShipmentRoute(app, options, {
    url: '/v1/shipments/:id/pack',
    operationId: 'packShipment',
    summary: 'Say that all of a parcel was found and is packed; said twice, it is packed once',
    refusals: ['shipment_cancelled', 'shipment_shipped'],
    command: (on) => ({ kind: 'pack_shipment', ...on }),
  })
  changeShipmentRoute<schemas.DispatchBody>(app, options, {
    url: '/v1/shipments/:id/ship',
    operationId: 'shipShipment',
    summary: 'A packed parcel leaves',
    description: 'Of this and a cancellation at the same time exactly one wins: buy the label when this was accepted.',
    body: schemas.DispatchBody,
    refusals: [
      'insufficient_stock',
      'order_not_confirmed',
      'order_not_paid',
      'shipment_cancelled',
      'shipment_not_packed',
      'shipment_shipped',
    ],
    command: (on, { carrier, tracking_number: trackingNumber }) => ({
      kind: 'ship_shipment',
      ...on,
      carrier,
      trackingNumber,
    }),
  })
  changeShipmentRoute(app, options, {
    url: '/v1/shipments/:id/cancel',
    operationId: 'cancelShipment',
    summary: 'Give up a parcel that has not left: its units are to be picked again',
    refusals: ['shipment_cancelled', 'shipment_shipped'],
    command: (on) => ({ kind: 'cancel_shipment', ...on }),
  })
  changeShipmentRoute(app, options, {
    url: '/v1/shipments/:id/deliver',
    operationId: 'deliverShipment',
    summary: 'Say that a shipment was delivered; said twice, it is delivered once',
    refusals: ['shipment_cancelled', 'shipment_not_shipped'],
    command: (on) => ({ kind: 'deliver_shipment', ...on }),
  })
}

/** A route on a shipment that answers 200 with it. */
function changeShipmentRoute<B>(
  app: FastifyInstance,
  options: OrderRoutesOptions,
  route: Pick<RouteDocument, 'operationId' | 'summary' | 'description' | 'body' | 'refusals'> & {
    url: string
    command(on: OnShipment, body: B): LifeCommand
  },
): void {
  const { url, command, ...told } = route
  app.post<Id>(
    url,
    {
      onRequest: options.guard.allow('orders:write'),
      schema: documented({
        ...told,
        tags: ['orders'],
        keyed: true,
        versioned: true,
        params: schemas.IdParams,
        answers: { 200: ref('Shipment') },
        refusals: ['not_found', 'precondition_failed', ...(told.refusals ?? [])],
      }),
    },
    async (request, reply) => {
      const done = await carryOut(options, request, reply, {
        find: () => findPart(options, request, 'shp'),
        command: (on, shipmentId) => command({ ...on, shipmentId }, request.body as B),
      })
      if ('code' in done) return sendRefused(reply, done)
      return sendJson(reply, 200, shipmentJson(options, done))
    },
  )
}

function returnRoutes(app: FastifyInstance, options: OrderRoutesOptions): void {
  const { cell, guard, readOrder } = options
  app.post<Id & { Body: schemas.ReturnBody }>(
    '/v1/orders/:id/returns',
    {
      onRequest: guard.allow('orders:write'),
      schema: documented({
        operationId: 'requestReturn',
        summary: 'Announce that units come back',
        tags: ['orders'],
        keyed: true,
        versioned: true,
        params: schemas.IdParams,
        body: schemas.ReturnBody,
        answers: { 201: ref('Return') },
        refusals: ['line_not_found', 'not_found', 'not_shipped', 'precondition_failed', 'too_many_parts'],
      }),
    },
    async (request, reply) => {
      const { lines, reason } = request.body
      const done = await carryOut(options, request, reply, {
        find: () => findOrder(options, request.params),
        command: (on, returnId) => ({ kind: 'request_return', ...on, returnId, lines: requestedOf(lines), reason }),
      })
      if ('code' in done) return sendRefused(reply, done)
      reply.header('location', `/v1/returns/${toWireId('ret', cell, done.id)}`)
      return sendJson(reply, 201, returnJson(options, done))
    },
  )

  app.get<Id>(
    '/v1/returns/:id',
    {
      onRequest: guard.allow('orders:read'),
      schema: documented({
        operationId: 'getReturn',
        summary: 'A return',
        tags: ['orders'],
        params: schemas.IdParams,
        answers: { 200: ref('Return') },
        refusals: ['not_found'],
      }),
    },
    async (request, reply) => {
      const part = await findPart(options, request, 'ret')
      const order = part && (await readOrder(request.principal.shopId, part.orderId))
      if (!order) return sendRefused(reply, refused('not_found'))
      return sendJson(reply, 200, returnJson(options, { order, id: part.id }))
    },
  )
}

function receiveRoute(app: FastifyInstance, options: OrderRoutesOptions): void {
  app.post<Id & { Body: schemas.ReceiptBody }>(
    '/v1/returns/:id/receive',
    {
      onRequest: options.guard.allow('orders:write'),
      schema: documented({
        operationId: 'receiveReturn',
        summary: 'The goods of a return are back: their price is refunded',
        tags: ['orders'],
        keyed: true,
        versioned: true,
        params: schemas.IdParams,
        body: schemas.ReceiptBody,
        answers: { 200: ref('Return') },
        refusals: ['line_not_found', 'not_found', 'precondition_failed', 'quantity_too_large', 'return_received'],
      }),
    },
    async (request, reply) => {
      const done = await carryOut(options, request, reply, {
        find: () => findPart(options, request, 'ret'),
        command: (on, returnId) => ({
          kind: 'receive_return',
          ...on,
          returnId,
          lines: request.body.lines.map(({ resellable, ...units }) => ({ ...requestedOf([units])[0]!, resellable })),
        }),
      })
      if ('code' in done) return sendRefused(reply, done)
      return sendJson(reply, 200, returnJson(options, done))
    },
  )
}
