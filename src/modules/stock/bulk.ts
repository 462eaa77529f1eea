// POST /v1/stock/bulk: adjustments a line, an answer a line. A line is the same request as POST /v1/stock/adjustments with
// its key; a single adjustment may also stand as the line itself.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Json } from '../../base/json.ts'
import { compileBody, readJson, schemaRefusal } from '../../runtime/http.ts'
import { documentedLines } from '../../runtime/http-document.ts'
import { acceptLines, problemLine, sendLines } from '../../runtime/http-lines.ts'
import { adjust, answerToAdjustment, cellOfAdjustments, takerElsewhere } from './adjusting.ts'
import type { StockRoutesOptions } from './routes.ts'
import * as schemas from './schemas.ts'
import { adjustStockOf } from './service.ts'

/** In an encapsulated instance: its bodies are lines, and nothing else. */
export function bulkStockRoute(app: FastifyInstance, options: StockRoutesOptions): void {
  acceptLines(app)
  const validateMany = compileBody(schemas.BulkAdjustmentsBody)
  const validateOne = compileBody(schemas.BulkAdjustmentBody)
  app.post(
    '/v1/stock/bulk',
    {
      onRequest: options.guard.allow('stock:write'),
      schema: documentedLines({
        operationId: 'adjustStockInBulk',
        summary: 'Move or count units, one request a line',
        description:
          'Each line is a body of POST /v1/stock/adjustments, or one adjustment, with its own `idempotency_key`; each answer line is `{"status":200,"data":[…]}` or `{"status":…,"problem":{…}}`, in the same order.',
        tags: ['stock'],
        line: schemas.BulkStockLine,
        answerLine: schemas.BulkStockAnswer,
      }),
    },
    (request, reply) =>
      sendLines(request, reply, options.commands, async (line) => {
        const parsed = readJson(line)
        if (!parsed.ok) return problemLine(parsed)
        const { value } = parsed
        const isOne = typeof value === 'object' && value !== null && 'sku' in value
        const validate = isOne ? validateOne : validateMany
        if (!validate(value)) return problemLine(schemaRefusal(validate.errors!, null))
        const { idempotency_key: key, ...body } = value as schemas.BulkAdjustmentBody | schemas.BulkAdjustmentsBody
        return adjustLine(options, request, key, 'sku' in body ? { adjustments: [body] } : body)
      }),
  )
}

async function adjustLine(
  options: StockRoutesOptions,
  request: FastifyRequest,
  keyText: string | undefined,
  body: schemas.AdjustmentsBody,
): Promise<string> {
  const { guard, now, submissionOf, several } = options
  const { shopId } = request.principal
  const key = guard.keyOfLine(request, keyText, 'POST /v1/stock/adjustments', body as Json)
  if ('code' in key) return problemLine(key)
  const asked = adjustStockOf(shopId, body.adjustments, now())
  if ('code' in asked) return problemLine(asked)
  const line = { key: keyText!, body, path: '/v1/stock/adjustments' } as const
  const there = await cellOfAdjustments(options, asked, { key, isPlacedHere: false })
  if (there && 'ok' in there) return problemLine(there)
  if (there) return several!.elsewhere.forwardLine(request, there, line)
  const outcome = await adjust(options, asked, (command) => submissionOf(command, key, now(), request.span))
  if (!outcome.ok) return problemLine(outcome)
  const taker = takerElsewhere(outcome)
  if (taker && several) return several.elsewhere.forwardLine(request, taker, line)
  const answer = await answerToAdjustment(options, asked, outcome)
  return `{"status":200,${outcome.replayed ? '"replayed":true,' : ''}${answer.slice(1)}`
}
