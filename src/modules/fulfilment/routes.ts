// The list of what is to be picked, packed and shipped at a location.
import type { FastifyInstance } from 'fastify'
import { type CellName, parseWireId, type ShopId, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { refused } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import { toRfc3339 } from '../../base/time.ts'
import { sendJson, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Order } from '../orders/types.ts'
import type { Guard } from '../shops/types.ts'
import * as schemas from './schemas.ts'
import { readWork } from './store.ts'
import { type Work, type WorkStatus, workStatuses } from './types.ts'

export type FulfilmentRoutesOptions = {
  cell: CellName
  guard: Guard
  database: Pick<Database, 'query'>
  readOrder(shopId: ShopId, id: Uuid): Promise<Order | undefined>
  workOf(order: Order, cell: CellName): Work[]
}

export function fulfilmentRoutes(app: FastifyInstance, options: FulfilmentRoutesOptions): void {
  const { cell, guard, database, readOrder, workOf } = options
  app.get<{ Querystring: schemas.WorkQuery }>(
    '/v1/fulfilment',
    {
      onRequest: guard.allow('orders:read'),
      schema: documented({
        operationId: 'listWork',
        summary: 'Confirmed orders with something to be picked, packed or shipped at a location, oldest first',
        description:
          'Each order as it is now; one that has just been confirmed may take a second to appear. A page may have fewer than `limit`, and still name a next one.',
        tags: ['fulfilment'],
        querystring: schemas.WorkQuery,
        answers: { 200: ref('WorkList') },
        refusals: ['cursor_invalid'],
      }),
    },
    async ({ principal: { shopId }, query }, reply) => {
      const after = afterOf(query.cursor, cell)
      if (after === undefined) return sendRefused(reply, refused('cursor_invalid'))
      const { location = 'main', limit = limits.listLimitDefault } = query
      const status = query.status as WorkStatus | undefined
      const statuses = status === undefined ? workStatuses : [status]
      const ids = await readWork(database, shopId, { location, statuses }, { after, limit: limit + 1 })
      const shown = ids.slice(0, limit)
      const orders = await Promise.all(shown.map((id) => readOrder(shopId, id)))
      const data = orders.flatMap((order) => {
        const work = order && workOf(order, cell).find((one) => one.location === location)
        const isWanted = work?.statuses.some((one) => statuses.includes(one))
        return order && work && isWanted ? [workAnswer(order, work, cell)] : []
      })
      const next = ids.length > limit ? cursorOf(shown.at(-1)!, cell) : null
      return sendJson(reply, 200, JSON.stringify({ data, next_cursor: next }))
    },
  )
}

const workAnswer = (order: Order, { location, statuses, lines, shipments }: Work, cell: CellName) => ({
  order_id: toWireId('ord', cell, order.id),
  reference: order.reference,
  placed_at: toRfc3339(order.placedAt),
  location,
  status: statuses[0],
  lines,
  shipments,
})

const cursorOf = (id: Uuid, cell: CellName): string => Buffer.from(toWireId('ord', cell, id)).toString('base64url')

/** Before all orders without a cursor; undefined for what is none of ours. */
function afterOf(cursor: string | undefined, cell: CellName): Uuid | undefined {
  if (cursor === undefined) return '00000000-0000-0000-0000-000000000000' as Uuid
  const id = parseWireId(Buffer.from(cursor, 'base64url').toString())
  return id && id.prefix === 'ord' && id.cell === cell ? id.uuid : undefined
}
