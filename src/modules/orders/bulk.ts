// POST /v1/orders/bulk: an order a line, an answer a line, for as many lines as the caller has. A line is the same request
// as POST /v1/orders with its key, so either may repeat what the other began.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Json } from '../../base/json.ts'
import { compileBody, readJson, schemaRefusal } from '../../runtime/http.ts'
import { documentedLines } from '../../runtime/http-document.ts'
import { acceptLines, problemLine, sendLines } from '../../runtime/http-lines.ts'
import { LivesElsewhere } from './gathering.ts'
import { type OrderRoutesOptions, orderOf, placing, shareKey, takerOf } from './routes.ts'
import * as schemas from './schemas.ts'
import { orderJson, placeOrderOf, submissionOf } from './service.ts'
import type { CommandOutcome } from './types.ts'

/** In an encapsulated instance: its bodies are lines, and nothing else. */
export function bulkOrderRoute(app: FastifyInstance, options: OrderRoutesOptions): void {
  acceptLines(app)
  const validate = compileBody(schemas.BulkOrderBody)
  app.post(
    '/v1/orders/bulk',
    {
      onRequest: options.guard.allow('orders:write'),
      schema: documentedLines({
        operationId: 'placeOrders',
        summary: 'Place orders, one a line',
        description:
          'Each line is an order with its own `idempotency_key`; each answer line is `{"status":201,"order":{…}}` or `{"status":…,"problem":{…}}`, in the same order, written when it is durable. A broken connection leaves a prefix done; sending it all again is harmless.',
        tags: ['orders'],
        line: schemas.BulkOrderBody,
        answerLine: schemas.BulkOrderAnswer,
      }),
    },
    (request, reply) =>
      sendLines(request, reply, options.commands, async (line) => {
        const parsed = readJson(line)
        if (!parsed.ok) return problemLine(parsed)
        if (!validate(parsed.value)) return problemLine(schemaRefusal(validate.errors!, null))
        return placeLine(options, request, parsed.value as schemas.BulkOrderBody)
      }),
  )
}

async function placeLine(
  options: OrderRoutesOptions,
  request: FastifyRequest,
  { idempotency_key: keyText, ...body }: schemas.BulkOrderBody,
): Promise<string> {
  const { cell, guard, commands, now, elsewhere } = options
  const { principal } = request
  const key = guard.keyOfLine(request, keyText, 'POST /v1/orders', body as Json)
  if ('code' in key) return problemLine(key)
  const line = { key: keyText!, body, path: '/v1/orders' } as const
  if (elsewhere) {
    const home = await elsewhere.homeOfLine(request, { key: keyText, holdId: body.hold_id })
    if (home && 'code' in home) return problemLine(home)
    if (home) return elsewhere.forwardLine(request, home, line)
  }
  const at = now()
  const command = placeOrderOf(body, placing(options, principal, at))
  if ('ok' in command) return problemLine(command)
  shareKey(elsewhere, command, keyText!, key)
  const assessed = options.assess(principal, command, at)
  if (assessed) await assessed
  let outcome: CommandOutcome
  try {
    outcome = await commands.submit(submissionOf(command, key, at, request.span))
  } catch (error) {
    if (!(error instanceof LivesElsewhere && elsewhere)) throw error
    return elsewhere.forwardLine(request, { cell: error.cell, isPlacedThere: true }, line)
  }
  if (!outcome.ok) return problemLine(outcome)
  const { value } = outcome
  const taker = takerOf(value)
  if (taker && elsewhere) return elsewhere.forwardLine(request, { cell: taker, isPlacedThere: true }, line)
  const order = value.kind === 'order' ? value.order : await orderOf(options, principal.shopId, value)
  const text = orderJson(order, { cell, principal })
  return outcome.replayed ? `{"status":201,"replayed":true,"order":${text}}` : `{"status":201,"order":${text}}`
}
