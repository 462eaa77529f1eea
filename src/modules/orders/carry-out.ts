// How a request on an order is carried out, whatever it asks for: its key, its If-Match, one command through the queue, and
// the order as it is afterwards, also when an earlier request with the key has done it.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type IdPrefix, type ShopId, type Uuid, uuidV7 } from '../../base/ids.ts'
import { pointerToken } from '../../base/json.ts'
import { refusedField } from '../../base/problem.ts'
import { type Refused, refused } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import { ifMatchOf, sendRefused } from '../../runtime/http.ts'
import { documented, type RouteDocument } from '../../runtime/http-document.ts'
import { randomIdBytes } from '../../runtime/random.ts'
import { readOrderOfPart } from './reads.ts'
import { type OrderRoutesOptions, sendOrder } from './routes.ts'
import * as schemas from './schemas.ts'
import { orderIdOf, submissionOf } from './service.ts'
import type { LifeCommand, OnOrder, Order } from './types.ts'

type Found = { orderId: Uuid; id?: Uuid }
type Step = {
  /** The order that it is about, and the part of it where it is about one; undefined when there is none. */
  find(): Found | undefined | Promise<Found | undefined>
  /** `id` is that part's, or for what it makes. */
  command(on: OnOrder, id: Uuid): LifeCommand | Refused | Promise<LifeCommand | Refused>
}

/** The order afterwards, and the id of the part: the one asked for, or that this request or the first one with its key made. */
type Done = { order: Order; id: Uuid }

/** Carries out what a request asks for; a replay is marked in the reply. */
export async function carryOut(
  { guard, commands, readOrder, now }: OrderRoutesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  step: Step,
): Promise<Done | Refused> {
  const key = request.method === 'POST' ? guard.keyOf(request) : null
  if (key && 'code' in key) return key
  const unexpected = refusalOfBody(request)
  if (unexpected) return unexpected
  const ifVersion = ifMatchOf(request)
  if (ifVersion === undefined) return refused('precondition_failed')
  const found = await step.find()
  if (!found) return refused('not_found')
  const { shopId } = request.principal
  const { orderId } = found
  const at = now()
  const id = found.id ?? uuidV7(at, randomIdBytes())
  const command = await step.command({ shopId, orderId, ifVersion }, id)
  if ('code' in command) return command
  const outcome = await commands.submit(submissionOf(command, key, at, request.span))
  if (!outcome.ok) return outcome
  const { value, replayed } = outcome
  if (replayed) reply.header('idempotent-replayed', 'true')
  if (value.kind === 'order') return { order: value.order, id }
  const order = await readOrder(shopId, orderId)
  if (!order || value.kind !== 'earlier' || value.resultId === null) throw new Error('what a key has made is missing')
  return { order, id: found.id ?? value.resultId }
}

/** The order that a path names. */
export function findOrder({ cell }: OrderRoutesOptions, { id }: { id: string }): Found | undefined {
  const orderId = orderIdOf(id, cell)
  return orderId && { orderId }
}

/** A route without a body takes none, or an empty object: what somebody believes to have said is not passed over. */
function refusalOfBody({ body, routeOptions }: FastifyRequest): Refused | undefined {
  if (body === undefined || body === null || routeOptions.schema?.body !== undefined) return undefined
  if (typeof body !== 'object' || Array.isArray(body)) return refusedField('invalid_body', '')
  const [name] = Object.keys(body)
  return name === undefined ? undefined : refusedField('unknown_field', `/${pointerToken(name)}`)
}

/** The part of the order that a request has made or asks for. */
export function partOf<T extends { id: Uuid }>(parts: readonly T[], id: Uuid): T {
  const part = parts.find((one) => one.id === id)
  if (!part) throw new Error(`part ${id} of the order is missing`)
  return part
}

/** The shipment or the return that a path names, and the order that it is of. */
export async function findPart(
  { database, cell }: OrderRoutesOptions,
  { principal, params }: { principal: { shopId: ShopId }; params: { id: string } },
  prefix: IdPrefix,
): Promise<{ id: Uuid; orderId: Uuid } | undefined> {
  const id = orderIdOf(params.id, cell, prefix)
  const orderId = id && (await readOrderOfPart(database, principal.shopId, id))
  return id && orderId && { id, orderId }
}

/** A route on an order that answers 200 with it. */
export function orderRoute<B>(
  app: FastifyInstance,
  options: OrderRoutesOptions,
  route: Pick<RouteDocument, 'operationId' | 'summary' | 'description' | 'body' | 'refusals'> & {
    method?: 'PATCH'
    url: string
    command(on: OnOrder, body: B): LifeCommand | Refused
  },
): void {
  const { cell, guard } = options
  const { method = 'POST', url, command, ...told } = route
  app.route<{ Params: { id: string } }>({
    method,
    url,
    onRequest: guard.allow('orders:write'),
    schema: documented({
      ...told,
      tags: ['orders'],
      keyed: method === 'POST',
      versioned: true,
      params: schemas.IdParams,
      answers: { 200: ref('Order') },
      refusals: ['not_found', 'precondition_failed', ...(told.refusals ?? [])],
    }),
    handler: async (request, reply) => {
      const { principal, params, body } = request
      const done = await carryOut(options, request as FastifyRequest, reply as FastifyReply, {
        find: () => findOrder(options, params),
        command: (on) => command(on, body as B),
      })
      if ('code' in done) return sendRefused(reply as FastifyReply, done)
      return sendOrder(reply as FastifyReply, 200, done.order, { cell, principal })
    },
  })
}
