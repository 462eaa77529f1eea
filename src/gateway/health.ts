// What probes and scrapers ask: is the process alive, can it serve (and if not, why), its metrics, and the audit.
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { oneOf, Time } from '../base/schemas.ts'
import { toRfc3339 } from '../base/time.ts'
import type { MoneyAudit } from '../modules/ledger/audit.ts'
import { MoneyAnswer } from '../modules/ledger/schemas.ts'
import type { Guard } from '../modules/shops/types.ts'
import type { AuditResult, AuditSums } from '../modules/stock/audit.ts'
import { sendJson, sendText } from '../runtime/http.ts'
import { documented } from '../runtime/http-document.ts'
import type { Metrics } from '../runtime/metrics.ts'

export type HealthOptions = {
  guard: Guard
  /** Why it cannot serve; empty when it can. */
  unreadyReasons(): string[] | Promise<string[]>
  metrics: Pick<Metrics, 'scrape'>
  /** Of units, and of money. */
  audit(request: { fresh: boolean }): Promise<{ units: AuditResult; money: MoneyAudit }>
  /** The position of a seq in the log. */
  position(seq: number): string
}

const Alive = Type.Object({ status: oneOf(['ok']) })
const Ready = Type.Object({ status: oneOf(['ready', 'unready']), reasons: Type.Array(Type.String()) })
const Sum = Type.Integer()
export const SumsAnswer = Type.Object({
  received: Sum,
  returned: Sum,
  corrections: Sum,
  transferred: Sum,
  on_hand: Sum,
  reserved: Sum,
  committed: Sum,
  shipped: Sum,
  in_flight: Type.Integer({
    description:
      'Units sent to other cells that had not confirmed them when they were last heard, just before this audit if they were in reach. One that was not heard since this process began has confirmed none.',
  }),
})
const AuditAnswer = Type.Object({
  consistent: Type.Boolean(),
  checked_at: Time,
  position: Type.String(),
  sums: SumsAnswer,
  differences: Type.Array(
    Type.Object({
      sku: Type.String(),
      location: Type.String(),
      counter: oneOf(['on_hand', 'reserved', 'committed', 'shipped', 'transferred', 'origin']),
      expected: Sum,
      actual: Sum,
    }),
  ),
  money: MoneyAnswer,
})
const AuditQuery = Type.Object({ fresh: Type.Optional(Type.Boolean()) }, { additionalProperties: false })

export const noUnits: AuditSums = {
  received: 0,
  returned: 0,
  corrections: 0,
  transferred: 0,
  on_hand: 0,
  reserved: 0,
  committed: 0,
  shipped: 0,
  in_flight: 0,
}

export function healthRoutes(app: FastifyInstance, options: HealthOptions): void {
  const { guard, unreadyReasons, metrics, audit, position } = options

  app.get(
    '/healthz',
    {
      schema: documented({
        operationId: 'getHealth',
        summary: 'The process lives',
        tags: ['health'],
        open: true,
        answers: { 200: Alive },
      }),
    },
    (_, reply) => sendJson(reply, 200, '{"status":"ok"}'),
  )

  app.get(
    '/readyz',
    {
      schema: documented({
        operationId: 'getReadiness',
        summary: 'Whether it can serve, and why not',
        tags: ['health'],
        open: true,
        answers: { 200: Ready, 503: Ready },
      }),
    },
    async (_, reply) => {
      const reasons = app.exchange.draining ? ['draining'] : await unreadyReasons()
      const status = reasons.length === 0 ? 'ready' : 'unready'
      return sendJson(reply, reasons.length === 0 ? 200 : 503, JSON.stringify({ status, reasons }))
    },
  )

  app.get(
    '/metrics',
    {
      schema: documented({
        operationId: 'getMetrics',
        summary: 'Metrics for Prometheus',
        description: 'In OpenMetrics, with traces as exemplars, to who accepts `application/openmetrics-text`.',
        tags: ['health'],
        open: true,
        produces: 'text/plain',
        answers: { 200: Type.String() },
      }),
    },
    async ({ headers }, reply) => {
      const { text, contentType } = await metrics.scrape(headers.accept)
      return sendText(reply.header('vary', 'accept'), 200, text, contentType)
    },
  )

  app.get<{ Querystring: { fresh?: boolean } }>(
    '/v1/audit',
    {
      onRequest: guard.allow('audit:read'),
      schema: documented({
        operationId: 'getAudit',
        summary: 'Units and money compared with what the log, the orders and the providers say they must be',
        tags: ['health'],
        querystring: AuditQuery,
        answers: { 200: AuditAnswer },
      }),
    },
    async ({ principal, query }, reply) => {
      const { units, money } = await audit({ fresh: query.fresh ?? false })
      const { sums, differences } = units.shops.get(principal.shopId) ?? { sums: noUnits, differences: [] }
      const ofMoney = money.shops.get(principal.shopId) ?? { sums: [], differences: [] }
      const answer = {
        consistent: differences.length === 0 && ofMoney.differences.length === 0,
        checked_at: toRfc3339(units.checkedAt),
        position: position(units.seq),
        sums,
        differences,
        money: { behind: money.behind, dead: money.dead, ...ofMoney },
      }
      return sendJson(reply, 200, JSON.stringify(answer))
    },
  )
}
