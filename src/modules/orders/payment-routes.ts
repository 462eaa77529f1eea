// Routes of an order's money: attempts to pay, and refunds. A storefront may begin an attempt on its own order, and read.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type IdPrefix, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Refused, refused } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import { sendJson, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import { carryOut, findOrder, partOf } from './carry-out.ts'
import { paymentAnswer, refundAnswer } from './life-answers.ts'
import { lifeOf } from './money.ts'
import { cursorText, type OrderRoutesOptions, refusalToShow, secretHeader, waitHeader } from './routes.ts'
import * as schemas from './schemas.ts'
import { orderIdOf, paymentOf, refundOrderOf } from './service.ts'
import type { Order } from './types.ts'

export function paymentRoutes(app: FastifyInstance, options: OrderRoutesOptions): void {
  const { cell } = options
  payRoute(app, options)
  readRoutes(app, options, {
    name: 'payments',
    told: { list: 'listPayments', get: 'getPayment', component: 'Payment' },
    prefix: 'pay',
    partsOf: (order) =>
      lifeOf(order).payments.map((one) => ({ id: one.id, answer: paymentAnswer({ order, cell }, one) })),
  })
  refundRoute(app, options)
  readRoutes(app, options, {
    name: 'refunds',
    told: { list: 'listRefunds', get: 'getRefund', component: 'Refund' },
    prefix: 'rfd',
    partsOf: (order) =>
      lifeOf(order).refunds.map((one) => ({ id: one.id, answer: refundAnswer({ order, cell }, one) })),
  })
}

function payRoute(app: FastifyInstance, options: OrderRoutesOptions): void {
  const { cell, guard, providers, waiting } = options
  app.post<{ Params: { id: string }; Body: schemas.PaymentBody }>(
    '/v1/orders/:id/payments',
    {
      onRequest: guard.allow(),
      schema: documented({
        operationId: 'payOrder',
        summary: 'Begin an attempt to pay an order',
        description:
          'One at a time; the order keeps its units until the attempt has ended. `none` (paid elsewhere) is for `sk_` keys; a `pk_` key pays its own order.',
        tags: ['orders'],
        keyed: true,
        versioned: true,
        params: schemas.IdParams,
        headers: { ...secretHeader, ...waitHeader },
        body: schemas.PaymentBody,
        answers: { 201: ref('Payment') },
        refusals: [
          'not_found',
          'order_cancelled',
          'order_paid',
          'payment_in_progress',
          'payment_method_unknown',
          'precondition_failed',
          'provider_unknown',
          'too_many_parts',
        ],
      }),
    },
    async (request, reply) => {
      const { principal, params, body, headers } = request
      const hidden = refusalToShow(request, params.id, 'orders:write')
      if (hidden) return sendRefused(reply, hidden)
      if (body.provider === 'none' && principal.kind !== 'sk')
        return sendRefused(reply, refused('forbidden', 'That it is paid elsewhere is for sk_ keys to say.'))
      const orderId = orderIdOf(params.id, cell)
      const watch = orderId ? waiting.watch(headers.prefer, principal.shopId, orderId) : null
      try {
        const done = await carryOut(options, request, reply, {
          find: () => orderId && { orderId },
          command(on, id) {
            const payment = paymentOf(body, { providers, paymentId: id }, '')
            if (payment && 'ok' in payment) return payment
            return { kind: 'start_payment', ...on, payment: payment ?? { id, provider: 'none', method: '' } }
          },
        })
        if ('code' in done) return sendRefused(reply, done)
        if (watch) reply.header('preference-applied', `wait=${watch.seconds}`)
        const order = watch ? await watch.settled(done.order, reply.raw) : done.order
        const payment = paymentAnswer({ order, cell }, partOf(lifeOf(order).payments, done.id))
        reply.header('location', `/v1/orders/${payment.order_id}/payments/${payment.id}`)
        return sendJson(reply, 201, JSON.stringify(payment))
      } finally {
        watch?.end()
      }
    },
  )
}

function refundRoute(app: FastifyInstance, options: OrderRoutesOptions): void {
  const { cell, guard, readOrder } = options
  app.post<{ Params: { id: string }; Body: schemas.RefundBody }>(
    '/v1/orders/:id/refunds',
    {
      onRequest: guard.allow('orders:write'),
      schema: documented({
        operationId: 'refundOrder',
        summary: 'Give money back: an amount, the price of some units, or all that is left',
        description:
          'The goods stay sold: returns and cancellations refund by themselves. Where several payments give it back, the first refund is answered, and all of them stand in the order.',
        tags: ['orders'],
        keyed: true,
        versioned: true,
        params: schemas.IdParams,
        body: schemas.RefundBody,
        answers: { 201: ref('Refund') },
        refusals: [
          'amount_and_lines',
          'currency_mismatch',
          'line_not_found',
          'not_found',
          'nothing_to_refund',
          'precondition_failed',
          'quantity_too_large',
          'refund_too_large',
          'too_many_parts',
        ],
      }),
    },
    async (request, reply) => {
      const { params, body, principal } = request
      let currency: string | undefined // of the order: it never changes, so it needs no lock
      const done = await carryOut(options, request, reply, {
        async find() {
          const found = findOrder(options, params)
          if (found && body.amount) currency = (await readOrder(principal.shopId, found.orderId))?.currency
          return found
        },
        command: (on, refundId) => refundOrderOf(body, currency, { ...on, refundId }),
      })
      if ('code' in done) return sendRefused(reply, done)
      const refund = refundAnswer({ order: done.order, cell }, partOf(lifeOf(done.order).refunds, done.id))
      reply.header('location', `/v1/orders/${refund.order_id}/refunds/${refund.id}`)
      return sendJson(reply, 201, JSON.stringify(refund))
    },
  )
}

type Parts = {
  name: 'payments' | 'refunds'
  told: { list: string; get: string; component: string }
  prefix: IdPrefix
  /** Oldest first. */
  partsOf(order: Order): { id: Uuid; answer: object }[]
}

function readRoutes(app: FastifyInstance, options: OrderRoutesOptions, { name, told, prefix, partsOf }: Parts): void {
  const { cell, guard, readOrder } = options
  const shared = { tags: ['orders'] as [string], headers: secretHeader }

  async function readParts(request: FastifyRequest, id: string): Promise<ReturnType<Parts['partsOf']> | Refused> {
    const hidden = refusalToShow(request, id, 'orders:read')
    if (hidden) return hidden
    const orderId = orderIdOf(id, cell)
    const order = orderId && (await readOrder(request.principal.shopId, orderId))
    return order ? partsOf(order) : refused('not_found')
  }

  app.get<{ Params: { id: string }; Querystring: schemas.PartsQuery }>(
    `/v1/orders/:id/${name}`,
    {
      onRequest: guard.allow(),
      schema: documented({
        ...shared,
        operationId: told.list,
        summary: `The ${name} of an order, newest first`,
        params: schemas.IdParams,
        querystring: schemas.PartsQuery,
        answers: { 200: ref(`${told.component}List`) },
        refusals: ['cursor_invalid', 'not_found'],
      }),
    },
    async (request, reply) => {
      const parts = await readParts(request as FastifyRequest, request.params.id)
      if ('ok' in parts) return sendRefused(reply, parts)
      const { limit = limits.listLimitDefault, cursor } = request.query
      const after = cursor === undefined ? null : orderIdOf(Buffer.from(cursor, 'base64url').toString(), cell, prefix)
      const newestFirst = parts.toReversed()
      const from = after === null ? 0 : newestFirst.findIndex(({ id }) => id === after) + 1
      if (after !== null && from === 0) return sendRefused(reply, refused('cursor_invalid'))
      const shown = newestFirst.slice(from, from + limit)
      const last = from + limit < newestFirst.length ? shown.at(-1)! : null
      const next = last && cursorText(toWireId(prefix, cell, last.id))
      return sendJson(reply, 200, JSON.stringify({ data: shown.map(({ answer }) => answer), next_cursor: next }))
    },
  )

  app.get<{ Params: { id: string; part: string } }>(
    `/v1/orders/:id/${name}/:part`,
    {
      onRequest: guard.allow(),
      schema: documented({
        ...shared,
        operationId: told.get,
        summary: `One of the ${name} of an order`,
        params: schemas.PartParams,
        answers: { 200: ref(told.component) },
        refusals: ['not_found'],
      }),
    },
    async (request, reply) => {
      const parts = await readParts(request as FastifyRequest, request.params.id)
      if ('ok' in parts) return sendRefused(reply, parts)
      const id = orderIdOf(request.params.part, cell, prefix)
      const part = parts.find((one) => one.id === id)
      if (!part) return sendRefused(reply, refused('not_found'))
      return sendJson(reply, 200, JSON.stringify(part.answer))
    },
  )
}
