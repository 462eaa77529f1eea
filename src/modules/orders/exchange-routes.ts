// The route of an exchange: goods that come back, and the order that is sent for them, in one request.
import type { FastifyInstance } from 'fastify'
import { toWireId, type Uuid, uuidV7 } from '../../base/ids.ts'
import { refusedUnder } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import { sendJson, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import { randomIdBytes } from '../../runtime/random.ts'
import { carryOut, findOrder, partOf } from './carry-out.ts'
import { returnAnswer } from './life-answers.ts'
import { lifeOf } from './money.ts'
import { type OrderRoutesOptions, placing, refusalsToPlace } from './routes.ts'
import * as schemas from './schemas.ts'
import { orderJson, placeOrderOf, requestedOf } from './service.ts'

export function exchangeRoute(app: FastifyInstance, options: OrderRoutesOptions): void {
  const { cell, guard, readOrder, assess, now } = options
  app.post<{ Params: { id: string }; Body: schemas.ExchangeBody }>(
    '/v1/orders/:id/exchanges',
    {
      onRequest: guard.allow('orders:write'),
      schema: documented({
        operationId: 'exchangeOrder',
        summary: 'Announce that units come back, and place the order that is sent for them; both or neither',
        description:
          'The new order costs its full price and is paid like any other. What comes back is refunded when it is received, and not before.',
        tags: ['orders'],
        keyed: true,
        versioned: true,
        params: schemas.IdParams,
        body: schemas.ExchangeBody,
        answers: { 201: ref('Exchange') },
        refusals: [
          ...refusalsToPlace,
          'line_not_found',
          'not_found',
          'not_shipped',
          'precondition_failed',
          'too_many_parts',
        ],
      }),
    },
    async (request, reply) => {
      const { principal, body } = request
      const done = await carryOut(options, request, reply, {
        find: () => findOrder(options, request.params),
        async command(on, orderId) {
          const at = now()
          const order = placeOrderOf(body.order, { ...placing(options, principal, at), orderId })
          if ('ok' in order) return refusedUnder('/order', order)
          await assess(principal, order, at)
          const returnId = uuidV7(at, randomIdBytes())
          return {
            kind: 'exchange_order',
            ...on,
            returnId,
            lines: requestedOf(body.return.lines),
            reason: body.return.reason,
            order,
          }
        },
      })
      if ('code' in done) return sendRefused(reply, done)
      const read = async (id: Uuid) => {
        const order = await readOrder(principal.shopId, id)
        if (!order) throw new Error(`order ${id} of an exchange is missing`)
        return order
      }
      const order = await read(done.id)
      const { orderId, returnId } = order.exchangeOf!
      const from = await read(orderId)
      const back = JSON.stringify(returnAnswer({ order: from, cell }, partOf(lifeOf(from).returns, returnId)))
      reply.header('location', `/v1/orders/${toWireId('ord', cell, order.id)}`)
      return sendJson(reply, 201, `{"order":${orderJson(order, { cell, principal })},"return":${back}}`)
    },
  )
}
