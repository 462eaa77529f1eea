// /v1/webhook-endpoints: who is told of events, with which secret. Those of deliveries are in delivery-routes.ts.
import type { FastifyInstance, FastifyReply } from 'fastify'
import { type CellName, type ShopId, toWireId, type Uuid, uuidV7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { refusedField } from '../../base/problem.ts'
import { accepted, type Outcome, type Refused, refused, replayed } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import { addMs, type Instant, toRfc3339 } from '../../base/time.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import { sendJson, sendNothing, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import type { Database } from '../../runtime/pg.ts'
import { randomIdBytes } from '../../runtime/random.ts'
import { newWebhookSecret } from '../../runtime/webhook-signature.ts'
import type { Guard } from '../shops/types.ts'
import { isTypePattern } from './decide.ts'
import { deliveryRoutes } from './delivery-routes.ts'
import { buryDisabledDeliveries } from './housekeeping.ts'
import * as schemas from './schemas.ts'
import { endpointIdOf, type Webhooks } from './service.ts'
import {
  changeEndpoint,
  countEndpoints,
  deleteEndpoint,
  endpointOfKey,
  findEndpoint,
  listEndpoints,
  makeEndpoint,
  type NewEndpoint,
  type RequestKey,
  rotateSecret,
} from './store.ts'
import type { Endpoint } from './types.ts'
import { endpointUrlOf, type UrlRules } from './url.ts'

export type WebhookRoutesOptions = {
  cell: CellName
  guard: Guard
  database: Pick<Database, 'query' | 'transaction'>
  webhooks: Pick<Webhooks, 'beginAt' | 'poke'>
  urlRules: UrlRules
  bodyOf: (event: LogEvent) => string
  now: () => Instant
}

export function webhookRoutes(app: FastifyInstance, options: WebhookRoutesOptions): void {
  makingRoute(app, options)
  endpointRoutes(app, options)
  secretRoute(app, options)
  deliveryRoutes(app, options)
}

const answerOf = (one: Endpoint, cell: CellName) => ({
  id: toWireId('whe', cell, one.id),
  url: one.url,
  types: one.types,
  enabled: one.enabled,
  disabled_reason: one.disabledReason,
  failing_since: one.failingSince === null ? null : toRfc3339(one.failingSince),
  created_at: toRfc3339(one.createdAt),
})

const endpointJson = (one: Endpoint, cell: CellName): string => JSON.stringify(answerOf(one, cell))
const withSecretJson = (one: Endpoint, cell: CellName): string =>
  JSON.stringify({ ...answerOf(one, cell), secret: one.secret })

function refusedTypes(types: readonly string[] | undefined): Refused | undefined {
  const at = types?.findIndex((type) => !isTypePattern(type)) ?? -1
  return at < 0 ? undefined : refusedField('event_type_unknown', `/types/${at}`)
}

function makingRoute(
  app: FastifyInstance,
  { cell, guard, database, webhooks, urlRules, now }: WebhookRoutesOptions,
): void {
  async function make(endpoint: NewEndpoint, key: RequestKey): Promise<Outcome<Endpoint>> {
    return database.transaction(async (session) => {
      const count = await countEndpoints(session, endpoint.shopId)
      const [earlier] = await endpointOfKey(session, endpoint.shopId, key.hash)
      if (earlier?.isDeleted) return refused('not_found')
      if (earlier) return earlier.createdRequest === key.request ? replayed(earlier) : refused('idempotency_key_reused')
      if (count >= limits.webhookEndpointsMax) return refused('webhook_endpoints_full')
      await webhooks.beginAt(session)
      const [made] = await makeEndpoint(session, endpoint, key)
      return accepted(made!)
    })
  }

  app.post<{ Body: schemas.EndpointBody }>(
    '/v1/webhook-endpoints',
    {
      onRequest: guard.allow('webhooks:write'),
      schema: documented({
        operationId: 'createWebhookEndpoint',
        summary: 'Have events delivered to a URL',
        description:
          'It is told of what happens from now on. The secret verifies the signatures; it is shown here alone.',
        tags: ['webhooks'],
        keyed: true,
        body: schemas.EndpointBody,
        answers: { 201: ref('WebhookEndpointWithSecret') },
        refusals: ['event_type_unknown', 'not_found', 'url_not_allowed', 'webhook_endpoints_full'],
      }),
    },
    async (request, reply) => {
      const { principal, body } = request
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const url = endpointUrlOf(body.url, urlRules)
      if (typeof url !== 'string') return sendRefused(reply, url)
      const refusal = refusedTypes(body.types)
      if (refusal) return sendRefused(reply, refusal)
      const { types, enabled = true } = body
      const id = uuidV7(now(), randomIdBytes())
      const endpoint = { shopId: principal.shopId, id, url, types, enabled, secret: newWebhookSecret() }
      const outcome = await make(endpoint, key)
      if (!outcome.ok) return sendRefused(reply, outcome)
      webhooks.poke()
      if (outcome.replayed) reply.header('idempotent-replayed', 'true')
      reply.header('location', `/v1/webhook-endpoints/${toWireId('whe', cell, outcome.value.id)}`)
      return sendJson(reply, 201, withSecretJson(outcome.value, cell))
    },
  )
}

function endpointRoutes(app: FastifyInstance, { cell, guard, database, urlRules }: WebhookRoutesOptions): void {
  const url = '/v1/webhook-endpoints/:id'
  const sendFound = (reply: FastifyReply, found: Endpoint | undefined): FastifyReply =>
    found ? sendJson(reply, 200, endpointJson(found, cell)) : sendRefused(reply, refused('not_found'))

  app.get(
    '/v1/webhook-endpoints',
    {
      onRequest: guard.allow('webhooks:read'),
      schema: documented({
        operationId: 'listWebhookEndpoints',
        summary: 'All endpoints, newest first',
        tags: ['webhooks'],
        answers: { 200: ref('WebhookEndpointList') },
      }),
    },
    async ({ principal }, reply) => {
      const found = await listEndpoints(database, principal.shopId)
      return sendJson(reply, 200, JSON.stringify({ data: found.map((one) => answerOf(one, cell)), next_cursor: null }))
    },
  )

  app.get<{ Params: { id: string } }>(
    url,
    {
      onRequest: guard.allow('webhooks:read'),
      schema: documented({
        operationId: 'getWebhookEndpoint',
        summary: 'An endpoint',
        tags: ['webhooks'],
        params: schemas.IdParams,
        answers: { 200: ref('WebhookEndpoint') },
        refusals: ['not_found'],
      }),
    },
    async ({ principal, params }, reply) => {
      const id = endpointIdOf(params.id, cell)
      return sendFound(reply, id && (await findEndpoint(database, principal.shopId, id))[0])
    },
  )

  app.patch<{ Params: { id: string }; Body: schemas.EndpointChangeBody }>(
    url,
    {
      onRequest: guard.allow('webhooks:write'),
      schema: documented({
        operationId: 'changeWebhookEndpoint',
        summary: 'Change the URL or the types of an endpoint, or whether it is enabled',
        description: 'What was still to be sent to an endpoint that is disabled becomes dead; it can be redelivered.',
        tags: ['webhooks'],
        params: schemas.IdParams,
        body: schemas.EndpointChangeBody,
        answers: { 200: ref('WebhookEndpoint') },
        refusals: ['event_type_unknown', 'not_found', 'url_not_allowed'],
      }),
    },
    async ({ principal, params, body }, reply) => {
      const to = body.url === undefined ? null : endpointUrlOf(body.url, urlRules)
      if (to !== null && typeof to !== 'string') return sendRefused(reply, to)
      const refusal = refusedTypes(body.types)
      if (refusal) return sendRefused(reply, refusal)
      const id = endpointIdOf(params.id, cell)
      const change = { url: to, types: body.types ?? null, enabled: body.enabled ?? null }
      const [changed] = id
        ? await database.transaction((session) => changeEndpoint(session, principal.shopId, id, change))
        : []
      if (changed && !changed.enabled) await buryDisabledDeliveries(database)
      return sendFound(reply, changed)
    },
  )

  app.delete<{ Params: { id: string } }>(
    url,
    {
      onRequest: guard.allow('webhooks:write'),
      schema: documented({
        operationId: 'deleteWebhookEndpoint',
        summary: 'Deliver no more to an endpoint; its deliveries stay to be read',
        tags: ['webhooks'],
        params: schemas.IdParams,
        answers: { 204: null },
        refusals: ['not_found'],
      }),
    },
    async ({ principal, params }, reply) => {
      const id = endpointIdOf(params.id, cell)
      const gone = id && (await database.transaction((session) => deleteEndpoint(session, principal.shopId, id)))
      if (!gone || gone.count === 0) return sendRefused(reply, refused('not_found'))
      await buryDisabledDeliveries(database)
      return sendNothing(reply)
    },
  )
}

function secretRoute(app: FastifyInstance, { cell, guard, database, now }: WebhookRoutesOptions): void {
  async function rotate(shopId: ShopId, id: Uuid, key: RequestKey): Promise<Outcome<Endpoint>> {
    const secret = {
      text: newWebhookSecret(),
      oldUntil: addMs(now(), limits.webhookSecretOverlapMs),
      key: key.hash,
    }
    const [rotated] = await database.transaction((session) => rotateSecret(session, { shopId, id }, secret))
    if (rotated) return accepted(rotated)
    const [present] = await findEndpoint(database, shopId, id)
    return present ? replayed(present) : refused('not_found')
  }

  app.post<{ Params: { id: string } }>(
    '/v1/webhook-endpoints/:id/rotate-secret',
    {
      onRequest: guard.allow('webhooks:write'),
      schema: documented({
        operationId: 'rotateWebhookSecret',
        summary: 'Give an endpoint a new secret',
        description: 'For 24 hours requests carry a signature by the old one too.',
        tags: ['webhooks'],
        keyed: true,
        params: schemas.IdParams,
        answers: { 200: ref('WebhookEndpointWithSecret') },
        refusals: ['not_found'],
      }),
    },
    async (request, reply) => {
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const id = endpointIdOf(request.params.id, cell)
      const outcome = id ? await rotate(request.principal.shopId, id, key) : refused('not_found')
      if (!outcome.ok) return sendRefused(reply, outcome)
      if (outcome.replayed) reply.header('idempotent-replayed', 'true')
      return sendJson(reply, 200, withSecretJson(outcome.value, cell))
    },
  )
}
