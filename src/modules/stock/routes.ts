// Routes of stock, locations and holds. Writes go through the engine's queue; reads are plain SQL.
import type { FastifyInstance } from 'fastify'
import {
  type CellName,
  type LocationCode,
  parseWireId,
  type ShopId,
  type Sku,
  toWireId,
  type Uuid,
  uuidV7,
} from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { refusedField } from '../../base/problem.ts'
import { refused } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import type { Instant } from '../../base/time.ts'
import type { CellState } from '../../base/topology.ts'
import { etagOf, ifMatchOf, sendJson, sendNothing, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import type { Database } from '../../runtime/pg.ts'
import { randomIdBytes } from '../../runtime/random.ts'
import type { Commands } from '../orders/service.ts'
import type { CommandOutcome, Submission, Value } from '../orders/types.ts'
import type { Guard } from '../shops/types.ts'
import {
  adjust,
  answerToAdjustment,
  cellOfAdjustments,
  homeOfPolicies,
  levelsOf,
  type SeveralCells,
  takerElsewhere,
} from './adjusting.ts'
import { levelAnswer } from './level-answers.ts'
import { readHold, readLocations, readPolicy, writeLocation } from './reads.ts'
import * as schemas from './schemas.ts'
import { adjustStockOf, holdJson, locationAnswer, locationOf, placeHoldOf, policyJson, setPolicyOf } from './service.ts'
import type { Hold } from './types.ts'

export type StockRoutesOptions = {
  cell: CellName
  guard: Guard
  commands: Commands
  database: Pick<Database, 'query' | 'transaction'>
  now(): Instant
  submissionOf(
    command: Submission['command'],
    key: Submission['key'],
    now: Instant,
    span: Submission['span'],
  ): Submission
  /** Null in a lone cell. */
  several: SeveralCells | null
}

export function stockRoutes(app: FastifyInstance, options: StockRoutesOptions): void {
  adjustmentRoute(app, options)
  levelRoutes(app, options)
  policyRoutes(app, options)
  policiesRoute(app, options)
  locationRoutes(app, options)
  holdRoutes(app, options)
}

/** The outcome's value, once the engine has accepted it; an outcome of another kind is our bug. */
const valueOfKind = <K extends Value['kind']>(value: Value, kind: K): Extract<Value, { kind: K }> => {
  if (value.kind !== kind) throw new Error(`expected an outcome with ${kind}, got ${value.kind}`)
  return value as Extract<Value, { kind: K }>
}

function adjustmentRoute(app: FastifyInstance, options: StockRoutesOptions): void {
  const { guard, now, submissionOf, several } = options
  app.post<{ Body: schemas.AdjustmentsBody }>(
    '/v1/stock/adjustments',
    {
      onRequest: guard.allow('stock:write'),
      bodyLimit: limits.bodyBytesAdjustmentsMax,
      schema: documented({
        operationId: 'adjustStock',
        summary: 'Move or count units: all of the adjustments, or none',
        tags: ['stock'],
        keyed: true,
        body: schemas.AdjustmentsBody,
        answers: { 200: ref('AdjustedStock') },
        refusals: [
          'insufficient_stock',
          'location_not_found',
          'locations_of_several_cells',
          'reason_mismatch',
          'time_in_future',
          'units_too_large',
        ],
      }),
    },
    async (request, reply) => {
      const { principal, body } = request
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const asked = adjustStockOf(principal.shopId, body.adjustments, now())
      if ('code' in asked) return sendRefused(reply, asked)
      const { isPlacedHere } = request
      const there = await cellOfAdjustments(options, asked, { key, isPlacedHere })
      if (there && 'ok' in there) return sendRefused(reply, there)
      if (there) return several!.elsewhere.forwardJson(request, reply, there, body)
      const outcome = await adjust(options, asked, (command) => submissionOf(command, key, now(), request.span))
      if (!outcome.ok) return sendRefused(reply, outcome)
      const taker = takerElsewhere(outcome)
      if (taker && several) return several.elsewhere.forwardJson(request, reply, taker, body)
      if (outcome.replayed) reply.header('idempotent-replayed', 'true')
      return sendJson(reply, 200, await answerToAdjustment(options, asked, outcome))
    },
  )
}

function levelRoutes(app: FastifyInstance, options: StockRoutesOptions): void {
  const { guard } = options
  app.get<{ Params: { sku: Sku } }>(
    '/v1/stock/:sku',
    {
      onRequest: guard.allow('stock:read'),
      schema: documented({
        operationId: 'getStock',
        summary: 'Units of one SKU',
        tags: ['stock'],
        params: schemas.SkuParams,
        answers: { 200: ref('Stock') },
        refusals: ['not_found'],
      }),
    },
    async ({ principal, params }, reply) => {
      const parts = await levelsOf(options, principal.shopId, [params.sku])
      if (parts.length === 0) return sendRefused(reply, refused('not_found'))
      return sendJson(reply, 200, JSON.stringify(levelAnswer(parts)))
    },
  )

  app.get<{ Querystring: { sku: Sku[] } }>(
    '/v1/stock',
    {
      onRequest: guard.allow('stock:read'),
      schema: documented({
        operationId: 'listStock',
        summary: 'Units of up to 200 SKUs; those that do not exist are left out',
        tags: ['stock'],
        querystring: schemas.StockQuery,
        answers: { 200: ref('StockList') },
      }),
    },
    async ({ principal, query }, reply) => {
      const bySku = Map.groupBy(await levelsOf(options, principal.shopId, [...new Set(query.sku)]), ({ sku }) => sku)
      return sendJson(reply, 200, JSON.stringify({ data: [...bySku.values()].map(levelAnswer) }))
    },
  )
}

function policyRoutes(app: FastifyInstance, options: StockRoutesOptions): void {
  const { guard, commands, database, now, submissionOf, several } = options
  const url = '/v1/stock/:sku/policy'
  app.put<{ Params: { sku: Sku }; Body: schemas.PolicyBody }>(
    url,
    {
      onRequest: guard.allow('stock:write'),
      schema: documented({
        operationId: 'setStockPolicy',
        summary: 'Whether a SKU is counted, and how many units may be sold beyond those there',
        description:
          'Units of a `group` stay in one cell, so that an order over many of them is decided there; `regions` may sell the SKU, null: all. With a single cell there is nothing for them to choose.',
        tags: ['stock'],
        versioned: true,
        params: schemas.SkuParams,
        body: schemas.PolicyBody,
        answers: { 200: ref('Policy') },
        refusals: ['precondition_failed'],
      }),
    },
    async (request, reply) => {
      const { principal, params, body } = request
      const ifVersion = ifMatchOf(request)
      if (ifVersion === undefined) return sendRefused(reply, refused('precondition_failed'))
      const home = await homeOfPolicies(options, principal.shopId)
      if (home !== undefined)
        return several!.elsewhere.forwardJson(request, reply, { cell: home, isPlacedThere: false }, body)
      const command = setPolicyOf(principal.shopId, params.sku, body, ifVersion)
      const outcome = await commands.submit(submissionOf(command, null, now(), request.span))
      if (!outcome.ok) return sendRefused(reply, outcome)
      const { policy } = valueOfKind(outcome.value, 'policy')
      return sendJson(reply.header('etag', etagOf(policy.version)), 200, policyJson(policy))
    },
  )

  app.get<{ Params: { sku: Sku } }>(
    url,
    {
      onRequest: guard.allow('stock:read'),
      schema: documented({
        operationId: 'getStockPolicy',
        summary: 'The policy of a SKU',
        tags: ['stock'],
        params: schemas.SkuParams,
        answers: { 200: ref('Policy') },
        refusals: ['not_found'],
      }),
    },
    async ({ principal, params }, reply) => {
      const policy = await readPolicy(database, principal.shopId, params.sku)
      if (!policy) return sendRefused(reply, refused('not_found'))
      return sendJson(reply.header('etag', etagOf(policy.version)), 200, policyJson(policy))
    },
  )
}

/** Each is decided for itself, as fast as the engine takes them; sent again, the same policies change nothing that matters. */
function policiesRoute(app: FastifyInstance, options: StockRoutesOptions): void {
  const { guard, commands, now, submissionOf, several } = options
  app.put<{ Body: schemas.PoliciesBody }>(
    '/v1/stock/policies',
    {
      onRequest: guard.allow('stock:write'),
      schema: documented({
        operationId: 'setStockPolicies',
        summary: `The policies of up to ${limits.policiesMax.toLocaleString('en')} SKUs, as those of all seats of an event`,
        description:
          'Each as by PUT /v1/stock/{sku}/policy, whatever its version; no SKU twice. Not all or nothing: after anything but 200 send all of them again.',
        tags: ['stock'],
        body: schemas.PoliciesBody,
        answers: { 200: ref('PolicyList') },
      }),
    },
    async (request, reply) => {
      const { principal, body } = request
      const skus = new Set<string>()
      const repeated = body.policies.findIndex(({ sku }) => skus.size === skus.add(sku).size)
      if (repeated >= 0) return sendRefused(reply, refusedField('invalid_body', `/policies/${repeated}/sku`))
      const home = await homeOfPolicies(options, principal.shopId)
      if (home !== undefined)
        return several!.elsewhere.forwardJson(request, reply, { cell: home, isPlacedThere: false }, body)
      const outcomes = await Promise.all(
        body.policies.map(({ sku, ...policy }) =>
          commands.submit(
            submissionOf(setPolicyOf(principal.shopId, sku as Sku, policy, null), null, now(), request.span),
          ),
        ),
      )
      const refusal = outcomes.find((outcome) => !outcome.ok)
      if (refusal) return sendRefused(reply, refusal)
      const policies = outcomes.flatMap((one) => (one.ok ? policyJson(valueOfKind(one.value, 'policy').policy) : []))
      return sendJson(reply, 200, `{"data":[${policies.join(',')}]}`)
    },
  )
}

function locationRoutes(app: FastifyInstance, { cell, guard, database, several }: StockRoutesOptions): void {
  const alone = (name: string): CellState => (name === cell ? 'active' : 'removed')
  const stateOf = several?.stateOf ?? alone
  app.get(
    '/v1/locations',
    {
      onRequest: guard.allow('stock:read'),
      schema: documented({
        operationId: 'listLocations',
        summary: 'All locations, by priority',
        tags: ['stock'],
        answers: { 200: ref('LocationList') },
      }),
    },
    async ({ principal }, reply) => {
      const locations = await readLocations(database, principal.shopId)
      return sendJson(reply, 200, JSON.stringify({ data: locations.map(locationAnswer), next_cursor: null }))
    },
  )

  app.put<{ Params: { code: LocationCode }; Body: schemas.LocationBody }>(
    '/v1/locations/:code',
    {
      onRequest: guard.allow('stock:write'),
      schema: documented({
        operationId: 'putLocation',
        summary: 'Make or change a location',
        tags: ['stock'],
        versioned: true,
        params: schemas.CodeParams,
        body: schemas.LocationBody,
        answers: { 200: ref('Location') },
        refusals: ['cell_not_found', 'cell_drains', 'country_unknown', 'precondition_failed'],
      }),
    },
    async (request, reply) => {
      const { principal, params, body } = request
      const location = locationOf(principal.shopId, params.code, body, { cell, stateOf })
      if ('ok' in location) return sendRefused(reply, location)
      const ifVersion = ifMatchOf(request)
      const written =
        ifVersion === undefined ? undefined : await writeLocation(database, location, { ifVersion, by: cell })
      if (!written) return sendRefused(reply, refused('precondition_failed'))
      const answer = JSON.stringify(locationAnswer(written))
      return sendJson(reply.header('etag', etagOf(written.version)), 200, answer)
    },
  )
}

function holdRoutes(app: FastifyInstance, options: StockRoutesOptions): void {
  const { cell, guard, commands, database, now, submissionOf, several } = options

  const holdIdOf = (text: string): Uuid | undefined => {
    const id = parseWireId(text)
    return id && id.prefix === 'hld' && id.cell === cell ? id.uuid : undefined
  }

  /** The hold of an accepted command; read anew when an earlier request with the key made it. */
  async function holdOf(shopId: ShopId, outcome: Extract<CommandOutcome, { ok: true }>): Promise<Hold> {
    const { value } = outcome
    if (value.kind === 'hold') return value.hold
    const hold = await readHold(database, shopId, valueOfKind(value, 'earlier').resultId!)
    if (!hold) throw new Error('the hold of an idempotency key is missing')
    return hold
  }

  app.post<{ Body: schemas.HoldBody }>(
    '/v1/holds',
    {
      onRequest: guard.allow('holds:write'),
      schema: documented({
        operationId: 'placeHold',
        summary: 'Reserve units for a while: all lines, or none',
        tags: ['holds'],
        keyed: true,
        body: schemas.HoldBody,
        answers: { 201: ref('Hold') },
        refusals: ['insufficient_stock', 'sku_not_found'],
      }),
    },
    async (request, reply) => {
      const { principal, body } = request
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const at = now()
      const command = placeHoldOf(principal.shopId, uuidV7(at, randomIdBytes()), body)
      const shared = several?.elsewhere.sharing(String(request.headers['idempotency-key']))
      if (shared?.names) command.sharedKey = { ...key, ...shared }
      const outcome = await commands.submit(submissionOf(command, key, at, request.span))
      if (!outcome.ok) return sendRefused(reply, outcome)
      const taker = takerElsewhere(outcome)
      if (taker && several) return several.elsewhere.forwardJson(request, reply, taker, body)
      if (outcome.replayed) reply.header('idempotent-replayed', 'true')
      const hold = await holdOf(principal.shopId, outcome)
      reply.header('location', `/v1/holds/${toWireId('hld', cell, hold.id)}`).header('etag', etagOf(hold.version))
      return sendJson(reply, 201, holdJson(hold, cell))
    },
  )

  app.get<{ Params: { id: string } }>(
    '/v1/holds/:id',
    {
      onRequest: guard.allow('holds:read'),
      schema: documented({
        operationId: 'getHold',
        summary: 'A hold',
        tags: ['holds'],
        params: schemas.IdParams,
        answers: { 200: ref('Hold') },
        refusals: ['not_found'],
      }),
    },
    async ({ principal, params }, reply) => {
      const id = holdIdOf(params.id)
      const hold = id && (await readHold(database, principal.shopId, id))
      if (!hold) return sendRefused(reply, refused('not_found'))
      return sendJson(reply.header('etag', etagOf(hold.version)), 200, holdJson(hold, cell))
    },
  )

  app.post<{ Params: { id: string }; Body: schemas.ExtendBody }>(
    '/v1/holds/:id/extend',
    {
      onRequest: guard.allow('holds:write'),
      schema: documented({
        operationId: 'extendHold',
        summary: 'Let a hold live longer, from now',
        tags: ['holds'],
        keyed: true,
        params: schemas.IdParams,
        body: schemas.ExtendBody,
        answers: { 200: ref('Hold') },
        refusals: ['hold_consumed', 'hold_expired', 'hold_released', 'not_found'],
      }),
    },
    async (request, reply) => {
      const { principal, params, body } = request
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const holdId = holdIdOf(params.id)
      if (!holdId) return sendRefused(reply, refused('not_found'))
      const { shopId } = principal
      const command = { kind: 'extend_hold', shopId, holdId, ttlMs: body.ttl_seconds * 1000 } as const
      const outcome = await commands.submit(submissionOf(command, key, now(), request.span))
      if (!outcome.ok) return sendRefused(reply, outcome)
      if (outcome.replayed) reply.header('idempotent-replayed', 'true')
      const hold = await holdOf(shopId, outcome)
      return sendJson(reply.header('etag', etagOf(hold.version)), 200, holdJson(hold, cell))
    },
  )

  app.delete<{ Params: { id: string } }>(
    '/v1/holds/:id',
    {
      onRequest: guard.allow('holds:write'),
      schema: documented({
        operationId: 'releaseHold',
        summary: 'Give the units back; a hold that is over already is no error',
        tags: ['holds'],
        params: schemas.IdParams,
        answers: { 204: null },
        refusals: ['hold_consumed', 'not_found'],
      }),
    },
    async ({ principal, params, span }, reply) => {
      const holdId = holdIdOf(params.id)
      if (!holdId) return sendRefused(reply, refused('not_found'))
      const command = { kind: 'release_hold', shopId: principal.shopId, holdId } as const
      const outcome = await commands.submit(submissionOf(command, null, now(), span))
      return outcome.ok ? sendNothing(reply) : sendRefused(reply, outcome)
    },
  )
}
