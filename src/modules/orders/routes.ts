// Routes of orders. Placing one is the hot path: everything it needs is made once, at start, and it allocates little.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type CellName, type ShopId, toWireId, uuidV7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Refused, refused } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import { type Instant, parseRfc3339 } from '../../base/time.ts'
import type { Elsewhere } from '../../runtime/elsewhere.ts'
import { readGaps } from '../../runtime/event-log.ts'
import { etagOf, sendJson, sendRefused } from '../../runtime/http.ts'
import { documented, type RouteDocument } from '../../runtime/http-document.ts'
import type { Database } from '../../runtime/pg.ts'
import { randomIdBytes } from '../../runtime/random.ts'
import { isSameSecret } from '../../runtime/secret.ts'
import type { AssessOrder } from '../risk/service.ts'
import type { Guard, Principal, Scope } from '../shops/types.ts'
import { type OrderFilter, type ReadOrder, readOrders } from './reads.ts'
import * as schemas from './schemas.ts'
import {
  type Commands,
  eventJson,
  orderIdOf,
  orderJson,
  type Providers,
  placeOrderOf,
  submissionOf,
} from './service.ts'
import type { OrderStatus } from './states.ts'
import type { CommandOutcome, IdempotencyKey, Order, PlaceOrder } from './types.ts'
import type { Waiting } from './waiting.ts'

export type OrderRoutesOptions = {
  cell: CellName
  guard: Guard
  commands: Commands
  database: Pick<Database, 'query'>
  readOrder: ReadOrder
  providers: Providers
  waiting: Waiting
  assess: AssessOrder
  now(): Instant
  /** None in a lone cell. */
  elsewhere: Elsewhere | null
}

/** Request headers that several routes take. */
export const secretHeader = {
  'holdfast-client-secret': { type: 'string', description: 'Of the order: lets a `pk_` key use it as its own.' },
}
export const waitHeader = {
  prefer: {
    type: 'string',
    description:
      '`wait=5` (1 to 30 seconds, RFC 7240): answers when the order has left `pending` or its attempt to pay has ended, or after that time.',
  },
}

export function orderRoutes(app: FastifyInstance, options: OrderRoutesOptions): void {
  placeRoute(app, options)
  readRoutes(app, options)
  listRoute(app, options)
}

/** Of an order's body, and of what it asks for. */
export const refusalsToPlace: RouteDocument['refusals'] & object = [
  'key_names_another_cell',
  'insufficient_stock',
  'sku_not_found',
  'hold_not_found',
  'hold_expired',
  'hold_consumed',
  'hold_released',
  'hold_too_small',
  'order_refused',
  'reference_taken',
  'currency_mismatch',
  'currency_unknown',
  'country_unknown',
  'price_required',
  'amount_mismatch',
  'amount_too_large',
  'time_in_future',
  'not_available',
  'no_catalogue_price',
  'payment_method_unknown',
  'provider_unknown',
]

function placeRoute(app: FastifyInstance, options: OrderRoutesOptions): void {
  const { cell, guard, commands, waiting, now, elsewhere } = options
  app.post<{ Body: schemas.OrderBody }>(
    '/v1/orders',
    {
      onRequest: guard.allow(),
      schema: documented({
        operationId: 'placeOrder',
        summary: 'Place an order',
        description:
          'Without `payment` it waits `pending` with its units reserved, for 15 minutes unless the settings say otherwise; `{"provider":"none"}` means paid elsewhere and confirms it at once. `placed_at` and a line’s `amount` need the scope `import`.',
        tags: ['orders'],
        keyed: true,
        headers: waitHeader,
        body: schemas.OrderBody,
        answers: { 201: ref('Order') },
        refusals: refusalsToPlace,
      }),
    },
    async (request, reply) => {
      const { principal } = request
      if (principal.kind === 'sk' && !principal.scopes.has('orders:write'))
        return sendRefused(reply, refused('forbidden'))
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const { hold_id: holdId } = request.body
      const home = elsewhere && holdId !== undefined ? elsewhere.homeOfOrder(request, holdId) : undefined
      if (home) {
        if (typeof home !== 'string') return sendRefused(reply, home)
        return elsewhere!.forwardJson(request, reply, { cell: home, isPlacedThere: true }, request.body)
      }
      const at = now()
      const command = placeOrderOf(request.body, placing(options, principal, at))
      if ('ok' in command) return sendRefused(reply, command)
      shareKey(elsewhere, command, String(request.headers['idempotency-key']), key)
      const assessed = options.assess(principal, command, at)
      if (assessed) await assessed
      const { prefer } = request.headers
      const watch = prefer === undefined ? null : waiting.watch(prefer, principal.shopId, command.orderId)
      try {
        const outcome = await commands.submit(submissionOf(command, key, at, request.span))
        if (!outcome.ok) return sendRefused(reply, outcome)
        const { value } = outcome
        const taker = takerOf(value)
        if (taker && elsewhere)
          return await elsewhere.forwardJson(request, reply, { cell: taker, isPlacedThere: true }, request.body)
        if (outcome.replayed) reply.header('idempotent-replayed', 'true')
        const placed = value.kind === 'order' ? value.order : await orderOf(options, principal.shopId, value)
        request.span?.set({ 'holdfast.order_id': toWireId('ord', cell, placed.id) })
        if (watch) reply.header('preference-applied', `wait=${watch.seconds}`)
        const order = watch ? await watch.settled(placed, reply.raw) : placed
        reply.header('location', `/v1/orders/${toWireId('ord', cell, order.id)}`)
        return sendOrder(reply, 201, order, { cell, principal })
      } finally {
        watch?.end()
      }
    },
  )
}

/** The other cells are told of a key that they may have taken too. */
export function shareKey(elsewhere: Elsewhere | null, command: PlaceOrder, text: string, key: IdempotencyKey): void {
  const shared = elsewhere?.sharing(text)
  if (shared) command.sharedKey = { ...key, ...shared }
}

/** The cell that has taken a key which names this one, and answers for it. */
export const takerOf = (value: OrderValue): CellName | null => (value.kind === 'earlier' ? value.takenBy : null)

/** What placing an order needs besides its body: ids are drawn here, before anything can be run twice. */
export const placing = ({ cell, providers }: OrderRoutesOptions, principal: Principal, at: Instant) => ({
  principal,
  cell,
  orderId: uuidV7(at, randomIdBytes()),
  paymentId: uuidV7(at, randomIdBytes()),
  providers,
  terms: principal.terms,
  now: at,
})

export function sendOrder(
  reply: FastifyReply,
  status: number,
  order: Order,
  reader: { cell: CellName; principal: Principal },
): FastifyReply {
  return sendJson(reply.header('etag', etagOf(order.version)), status, orderJson(order, reader))
}

type OrderValue = Extract<CommandOutcome, { ok: true }>['value']

/** The order of an accepted command; read anew when an earlier request with the key made or changed it. */
export async function orderOf(
  { readOrder }: Pick<OrderRoutesOptions, 'readOrder'>,
  shopId: ShopId,
  value: OrderValue,
): Promise<Order> {
  if (value.kind === 'order') return value.order
  if (value.kind !== 'earlier' || value.resultId === null) throw new Error(`expected an order, got ${value.kind}`)
  if (value.takenBy !== null) throw new Error(`an order of ${value.takenBy}, and there are no other cells`)
  const order = await readOrder(shopId, value.resultId)
  if (!order) throw new Error('the order of an idempotency key is missing')
  return order
}

/** Servers need the scope; storefronts the secret of that very order, which is not there without it. */
export function refusalToShow(
  { principal, headers }: Pick<FastifyRequest, 'principal' | 'headers'>,
  id: string,
  scope: Scope,
): Refused | undefined {
  if (principal.kind === 'sk')
    return principal.scopes.has(scope) ? undefined : refused('forbidden', `It needs a key with the scope ${scope}.`)
  const secret = headers['holdfast-client-secret']
  if (typeof secret !== 'string') return refused('forbidden', 'holdfast-client-secret is missing.')
  return isSameSecret(secret, principal.sign(id.slice(0, 64))) ? undefined : refused('not_found')
}

function readRoutes(app: FastifyInstance, { cell, guard, database, readOrder }: OrderRoutesOptions): void {
  app.get<{ Params: { id: string } }>(
    '/v1/orders/:id',
    {
      onRequest: guard.allow(),
      schema: documented({
        operationId: 'getOrder',
        summary: 'An order',
        tags: ['orders'],
        params: schemas.IdParams,
        headers: secretHeader,
        answers: { 200: ref('Order') },
        refusals: ['not_found'],
      }),
    },
    async (request, reply) => {
      const { principal, params } = request
      const hidden = refusalToShow(request, params.id, 'orders:read')
      if (hidden) return sendRefused(reply, hidden)
      const id = orderIdOf(params.id, cell)
      const order = id && (await readOrder(principal.shopId, id))
      if (!order) return sendRefused(reply, refused('not_found'))
      return sendOrder(reply, 200, order, { cell, principal })
    },
  )

  app.get<{ Params: { id: string }; Querystring: schemas.HistoryQuery }>(
    '/v1/orders/:id/events',
    {
      onRequest: guard.allow('orders:read'),
      schema: documented({
        operationId: 'listOrderEvents',
        summary: 'The history of an order, oldest first, as far as events are kept',
        tags: ['orders'],
        params: schemas.IdParams,
        querystring: schemas.HistoryQuery,
        answers: { 200: ref('EventList') },
        refusals: ['cursor_invalid', 'not_found'],
      }),
    },
    async ({ principal, params, query }, reply) => {
      const id = orderIdOf(params.id, cell)
      if (!id || !(await readOrder(principal.shopId, id))) return sendRefused(reply, refused('not_found'))
      const after = versionCursor(query.cursor)
      if (after === undefined) return sendRefused(reply, refused('cursor_invalid'))
      const limit = query.limit ?? limits.listLimitDefault
      const subject = toWireId('ord', cell, id)
      const gap = { shopId: principal.shopId, subject, afterVersion: after, beforeVersion: 2 ** 31 - 1 }
      const events = await readGaps(database.query, [gap], Number.MAX_SAFE_INTEGER, limit + 1)
      const shown = events.slice(0, limit)
      const next = events.length > limit ? `"${cursorText(String(shown.at(-1)!.subjectVersion))}"` : 'null'
      const data = shown.map((event) => eventJson(event, cell)).join(',')
      return sendJson(reply, 200, `{"data":[${data}],"next_cursor":${next}}`)
    },
  )
}

export const cursorText = (text: string): string => Buffer.from(text).toString('base64url')

/** The version a cursor of a history names; 0 without one. */
function versionCursor(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return 0
  const text = Buffer.from(cursor, 'base64url').toString()
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

function listRoute(app: FastifyInstance, { cell, guard, database }: OrderRoutesOptions): void {
  app.get<{ Querystring: schemas.OrdersQuery }>(
    '/v1/orders',
    {
      onRequest: guard.allow('orders:read'),
      schema: documented({
        operationId: 'listOrders',
        summary: 'Orders, newest first',
        tags: ['orders'],
        querystring: schemas.OrdersQuery,
        answers: { 200: ref('OrderList') },
        refusals: ['cursor_invalid'],
      }),
    },
    async ({ principal, query }, reply) => {
      const filter = filterOf(query)
      const before =
        query.cursor === undefined ? null : orderIdOf(Buffer.from(query.cursor, 'base64url').toString(), cell)
      if (before === undefined) return sendRefused(reply, refused('cursor_invalid'))
      const limit = query.limit ?? limits.listLimitDefault
      const orders = await readOrders(database, principal.shopId, filter, { before, limit: limit + 1 })
      const shown = orders.slice(0, limit)
      const next = orders.length > limit ? `"${cursorText(toWireId('ord', cell, shown.at(-1)!.id))}"` : 'null'
      const data = shown.map((order) => orderJson(order, { cell, principal })).join(',')
      return sendJson(reply, 200, `{"data":[${data}],"next_cursor":${next}}`)
    },
  )
}

function filterOf(query: schemas.OrdersQuery): OrderFilter {
  const timeOf = (text: string | undefined): Instant | null => (text === undefined ? null : parseRfc3339(text)!)
  return {
    status: (query.status ?? null) as OrderStatus | null,
    customer: query.customer ?? null,
    email: query.email ?? null,
    reference: query.reference ?? null,
    createdAfter: timeOf(query.created_after),
    createdBefore: timeOf(query.created_before),
  }
}
