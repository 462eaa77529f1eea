// Routes of the test provider, in the development profile only: what it has charged, so that anyone can compare; and the
// buyer's part where a method asks for one.
import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import { type CellName, parseWireId, type ShopId, toWireId, type Uuid } from '../../base/ids.ts'
import { refused } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import { sendJson, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import type { CommandOutcome, Settle } from '../orders/types.ts'
import type { Guard } from '../shops/types.ts'
import { settlementOfCharge } from './decide.ts'
import * as schemas from './schemas.ts'
import { paymentOfCharge, type TestProvider } from './test-provider.ts'
import type { Charge } from './types.ts'

export type TestProviderRoutesOptions = {
  cell: CellName
  guard: Guard
  provider: TestProvider
  submit(command: Settle): Promise<CommandOutcome>
}

/** A storefront's key may not see what a provider holds. */
const serversOnly: onRequestHookHandler = (request, reply, done) => {
  if (request.principal.kind !== 'sk') return void sendRefused(reply, refused('forbidden', 'It needs an sk_ key.'))
  done()
}

const chargesMax = 200

export function testProviderRoutes(app: FastifyInstance, options: TestProviderRoutesOptions): void {
  const { cell, guard, provider, submit } = options
  const onRequest = [guard.allow(), serversOnly]

  app.get<{ Querystring: { order: string } }>(
    '/v1/test-provider/charges',
    {
      onRequest,
      schema: documented({
        operationId: 'listTestCharges',
        summary: 'What the test provider charged for an order (development profile)',
        tags: ['test-provider'],
        querystring: schemas.TestChargesQuery,
        answers: { 200: ref('TestChargeList') },
      }),
    },
    async ({ principal, query }, reply) => {
      const id = parseWireId(query.order)
      const charges =
        id?.prefix === 'ord' && id.cell === cell
          ? await provider.charges({ shopId: principal.shopId, orderId: id.uuid, after: null, limit: chargesMax })
          : []
      return sendJson(reply, 200, JSON.stringify({ data: charges.map((charge) => chargeAnswer(charge, cell)) }))
    },
  )

  app.post<{ Params: { id: string } }>(
    '/v1/test-provider/charges/:id/complete',
    {
      onRequest,
      schema: documented({
        operationId: 'completeTestCharge',
        summary:
          'Does what tok_requires_action asks of the buyer (development profile); needs no key: done twice, it is done once',
        tags: ['test-provider'],
        params: schemas.TestChargeParams,
        answers: { 200: ref('TestCharge') },
        refusals: ['not_found'],
      }),
    },
    async ({ principal, params }, reply) => {
      const { shopId } = principal
      const paymentId = paymentOfCharge(params.id)
      const charge = paymentId && (await completed(options, shopId, paymentId))
      if (!charge) return sendRefused(reply, refused('not_found'))
      const settlement = settlementOfCharge(charge)
      // As a provider's message would; if it is lost here, the operation is still looked up.
      if (settlement) await submit({ kind: 'settle', shopId, orderId: charge.orderId, settlement })
      return sendJson(reply, 200, JSON.stringify(chargeAnswer(charge, cell)))
    },
  )
}

/** As it is after the buyer has done his part, now or before. */
async function completed(
  { provider }: TestProviderRoutesOptions,
  shopId: ShopId,
  paymentId: Uuid,
): Promise<Charge | undefined> {
  const { orderId } = (await provider.complete(shopId, paymentId)) ?? {}
  if (!orderId) return undefined
  const charges = await provider.charges({ shopId, orderId, after: null, limit: chargesMax })
  return charges.find((charge) => charge.paymentId === paymentId)
}

const chargeAnswer = (
  { id, orderId, paymentId, amount, currency, captured, refunded, status }: Charge,
  cell: CellName,
) => ({
  id,
  order_id: toWireId('ord', cell, orderId),
  idempotency_key: toWireId('pay', cell, paymentId),
  amount,
  currency,
  captured,
  refunded,
  status,
})
