// /v1/webhook-deliveries: what was sent, what came of it, and sending it again; and a test of an endpoint.
import type { FastifyInstance } from 'fastify'
import { type CellName, parseWireId, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { refusedField } from '../../base/problem.ts'
import { refused } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import { toRfc3339 } from '../../base/time.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import { sendJson, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import type { WebhookRoutesOptions } from './routes.ts'
import * as schemas from './schemas.ts'
import { deliveryIdOf, deliveryNameOf, endpointIdOf } from './service.ts'
import {
  attemptsOf,
  type DeliveryFilter,
  findDelivery,
  findEndpoint,
  listDeliveries,
  makeTest,
  redeliver,
  type TestDelivery,
} from './store.ts'
import type { Attempt, Delivery } from './types.ts'

export function deliveryRoutes(app: FastifyInstance, options: WebhookRoutesOptions): void {
  testRoute(app, options)
  readRoutes(app, options)
  redeliverRoute(app, options)
}

const answerOf = (one: Delivery, cell: CellName) => ({
  id: deliveryIdOf(cell, one),
  endpoint_id: toWireId('whe', cell, one.endpointId),
  event_id: one.eventId,
  type: one.type,
  subject: one.subject,
  status: one.state === 'ready' || one.state === 'waiting' ? 'pending' : one.state,
  reason: one.reason,
  attempt_count: one.attempts,
  next_attempt_at: one.nextAt === null ? null : toRfc3339(one.nextAt),
  created_at: toRfc3339(one.createdAt),
  updated_at: toRfc3339(one.updatedAt),
})

const attemptAnswer = ({ at, ms, status, answer, error }: Attempt) => ({ at: toRfc3339(at), ms, status, answer, error })

function testRoute(app: FastifyInstance, { cell, guard, database, webhooks, bodyOf, now }: WebhookRoutesOptions): void {
  app.post<{ Params: { id: string } }>(
    '/v1/webhook-endpoints/:id/test',
    {
      onRequest: guard.allow('webhooks:write'),
      schema: documented({
        operationId: 'testWebhookEndpoint',
        summary: 'Send an endpoint an event `webhook.test`, whatever types it wants',
        description: 'It is in no log. What came of it is told by the delivery that is answered.',
        tags: ['webhooks'],
        keyed: true,
        params: schemas.IdParams,
        answers: { 202: ref('WebhookDelivery') },
        refusals: ['not_found', 'webhook_endpoint_disabled'],
      }),
    },
    async (request, reply) => {
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const { principal, params } = request
      const endpointId = endpointIdOf(params.id, cell)
      const [endpoint] = endpointId ? await findEndpoint(database, principal.shopId, endpointId) : []
      if (!endpoint) return sendRefused(reply, refused('not_found'))
      if (!endpoint.enabled) return sendRefused(reply, refused('webhook_endpoint_disabled'))
      const eventId = uuidOf(key.hash)
      const subject = toWireId('whe', cell, endpoint.id)
      const event: LogEvent = {
        seq: 0,
        shopId: principal.shopId,
        eventId,
        subject,
        subjectVersion: 1,
        type: 'webhook.test',
        at: now(),
        data: JSON.stringify({ endpoint_id: subject }),
      }
      const { shopId } = principal
      const test: TestDelivery = {
        shopId,
        endpointId: endpoint.id,
        eventId,
        type: event.type,
        subject,
        body: bodyOf(event),
      }
      const made = await database.transaction((session) => makeTest(session, test))
      webhooks.poke()
      if (made.count === 0) reply.header('idempotent-replayed', 'true')
      const delivery = await findDelivery(database, { shopId, endpointId: endpoint.id, eventId })
      return sendJson(reply, 202, JSON.stringify(answerOf(delivery!, cell)))
    },
  )
}

/** The same request makes the same event. */
const uuidOf = (hash: string): Uuid =>
  `${hash.slice(0, 8)}-${hash.slice(8, 12)}-${hash.slice(12, 16)}-${hash.slice(16, 20)}-${hash.slice(20, 32)}` as Uuid

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** `nothing` for a filter that names what cannot be there. */
function filterOf(query: schemas.DeliveriesQuery, cell: CellName): DeliveryFilter | 'nothing' {
  const { endpoint, event, order = null, status = null } = query
  const endpointId = endpoint === undefined ? null : endpointIdOf(endpoint, cell)
  if (endpointId === undefined) return 'nothing'
  if (event !== undefined && !uuidPattern.test(event)) return 'nothing'
  if (order !== null && parseWireId(order)?.prefix !== 'ord') return 'nothing'
  return { endpointId, eventId: (event as Uuid | undefined) ?? null, subject: order, status }
}

const cursorText = (id: number): string => Buffer.from(String(id)).toString('base64url')

function cursorOf(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER
  const text = Buffer.from(cursor, 'base64url').toString()
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function readRoutes(app: FastifyInstance, { cell, guard, database, bodyOf }: WebhookRoutesOptions): void {
  app.get<{ Querystring: schemas.DeliveriesQuery }>(
    '/v1/webhook-deliveries',
    {
      onRequest: guard.allow('webhooks:read'),
      schema: documented({
        operationId: 'listWebhookDeliveries',
        summary: 'Deliveries of the last 30 days, newest first',
        tags: ['webhooks'],
        querystring: schemas.DeliveriesQuery,
        answers: { 200: ref('WebhookDeliveryList') },
        refusals: ['cursor_invalid'],
      }),
    },
    async ({ principal, query }, reply) => {
      const beforeId = cursorOf(query.cursor)
      if (beforeId === undefined) return sendRefused(reply, refusedField('cursor_invalid', '/cursor', { in: 'query' }))
      const limit = query.limit ?? limits.listLimitDefault
      const filter = filterOf(query, cell)
      const found =
        filter === 'nothing'
          ? []
          : await listDeliveries(database, principal.shopId, filter, { beforeId, limit: limit + 1 })
      const shown = found.slice(0, limit)
      const next_cursor = found.length > limit ? cursorText(shown.at(-1)!.id) : null
      return sendJson(reply, 200, JSON.stringify({ data: shown.map((one) => answerOf(one, cell)), next_cursor }))
    },
  )

  app.get<{ Params: { id: string } }>(
    '/v1/webhook-deliveries/:id',
    {
      onRequest: guard.allow('webhooks:read'),
      schema: documented({
        operationId: 'getWebhookDelivery',
        summary: 'A delivery with its attempts, and the body that is sent',
        tags: ['webhooks'],
        params: schemas.IdParams,
        answers: { 200: ref('WebhookDeliveryWithAttempts') },
        refusals: ['not_found'],
      }),
    },
    async ({ principal, params }, reply) => {
      const name = deliveryNameOf(params.id, cell)
      const found = name && (await findDelivery(database, { shopId: principal.shopId, ...name }))
      if (!found) return sendRefused(reply, refused('not_found'))
      const attempts = (await attemptsOf(database, found)).map(attemptAnswer)
      const body = found.body ?? (found.event && bodyOf(found.event))
      return sendJson(reply, 200, JSON.stringify({ ...answerOf(found, cell), attempts, body }))
    },
  )
}

function redeliverRoute(app: FastifyInstance, { cell, guard, database, webhooks }: WebhookRoutesOptions): void {
  app.post<{ Params: { id: string } }>(
    '/v1/webhook-deliveries/:id/redeliver',
    {
      onRequest: guard.allow('webhooks:write'),
      schema: documented({
        operationId: 'redeliverWebhook',
        summary: 'Send a delivery again, whatever came of it, under the same webhook-id and with all its tries',
        tags: ['webhooks'],
        keyed: true,
        params: schemas.IdParams,
        answers: { 200: ref('WebhookDelivery') },
        refusals: ['not_found', 'webhook_endpoint_disabled'],
      }),
    },
    async (request, reply) => {
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const { shopId } = request.principal
      const id = deliveryNameOf(request.params.id, cell)
      const name = id && { shopId, ...id }
      if (!name || !(await findDelivery(database, name))) return sendRefused(reply, refused('not_found'))
      const [endpoint] = await findEndpoint(database, shopId, name.endpointId)
      if (!endpoint?.enabled) return sendRefused(reply, refused('webhook_endpoint_disabled'))
      const asked = await database.transaction((session) => redeliver(session, name, key.hash))
      webhooks.poke()
      if (asked.count === 0) reply.header('idempotent-replayed', 'true')
      return sendJson(reply, 200, JSON.stringify(answerOf((await findDelivery(database, name))!, cell)))
    },
  )
}
