// GET /v1/transfers: what ever went between this cell and another, as this cell has booked it. Read at both, the taker's first, it
// tells without any common moment that nothing was received that was not sent, and how much is under way.
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { limits } from '../../base/limits.ts'
import { refused } from '../../base/result.ts'
import { closed, LocationCode, page, Sku, Time } from '../../base/schemas.ts'
import { toRfc3339 } from '../../base/time.ts'
import { sendJson, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import { readTransfersPage } from './reads.ts'
import type { StockRoutesOptions } from './routes.ts'

const TransfersQuery = closed({
  peer: Type.String({ pattern: '^[a-z][a-z0-9]{1,15}$', description: 'The name of the other cell.' }),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: limits.transfersPageMax, default: limits.transfersPageMax }),
  ),
  cursor: page.cursor,
})
type TransfersQuery = Static<typeof TransfersQuery>

const Total = Type.Integer({ description: 'Only grows.' })
const TransfersAnswer = Type.Object({
  cell: Type.String(),
  peer: Type.String(),
  as_of: Time,
  data: Type.Array(
    Type.Object({
      sku: Sku,
      location: LocationCode,
      sent: Type.Object({ units: Total, allowance: Total }),
      received: Type.Object({ units: Total, allowance: Total }),
    }),
  ),
  next_cursor: Type.Union([Type.String(), Type.Null()]),
})

export function transferRoutes(app: FastifyInstance, { cell, guard, database, now }: StockRoutesOptions): void {
  app.get<{ Querystring: TransfersQuery }>(
    '/v1/transfers',
    {
      onRequest: guard.allow('audit:read'),
      schema: documented({
        operationId: 'listTransfers',
        summary: 'All units and allowance that ever went between this cell and another, by SKU and location',
        description:
          'Of two cells ask the taker first: what it has received is never more than what the giver says then that it has sent, and the difference is under way.',
        tags: ['stock'],
        querystring: TransfersQuery,
        answers: { 200: TransfersAnswer },
        refusals: ['cursor_invalid'],
      }),
    },
    async ({ principal, query }, reply) => {
      const { peer, limit = limits.transfersPageMax, cursor = '0' } = query
      const after = /^\d{1,15}$/.test(cursor) ? Number(cursor) : undefined
      if (after === undefined) return sendRefused(reply, refused('cursor_invalid'))
      const asOf = toRfc3339(now())
      const found = await readTransfersPage(database, principal.shopId, { peer, after, limit })
      const data = found.map(({ sku, location, ...one }) => ({
        ...{ sku, location },
        sent: { units: one.sent_units, allowance: one.sent_allowance },
        received: { units: one.received_units, allowance: one.received_allowance },
      }))
      const next_cursor = found.length < limit ? null : String(found.at(-1)!.row_id)
      return sendJson(reply, 200, JSON.stringify({ cell, peer, as_of: asOf, data, next_cursor }))
    },
  )
}
