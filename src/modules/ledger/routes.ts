// Routes of the ledger: what accounts hold, what was booked, and what is booked by hand.
import type { FastifyInstance } from 'fastify'
import { type CellName, parseWireId, type ShopId, type Uuid, uuidV7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { refused } from '../../base/result.ts'
import { ref } from '../../base/schemas.ts'
import type { Instant } from '../../base/time.ts'
import { sendJson, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import type { Database } from '../../runtime/pg.ts'
import { randomIdBytes } from '../../runtime/random.ts'
import type { Order } from '../orders/types.ts'
import type { Guard } from '../shops/types.ts'
import * as schemas from './schemas.ts'
import { balancesJson, book, bookingJson, entriesJson } from './service.ts'
import { type EntryKey, readBalances, readEntries } from './store.ts'
import type { Account } from './types.ts'

export type LedgerRoutesOptions = {
  cell: CellName
  guard: Guard
  database: Pick<Database, 'query' | 'transaction'>
  readOrder(shopId: ShopId, id: Uuid): Promise<Order | undefined>
  now(): Instant
}

export function ledgerRoutes(app: FastifyInstance, options: LedgerRoutesOptions): void {
  readRoutes(app, options)
  bookRoute(app, options)
}

function readRoutes(app: FastifyInstance, { cell, guard, database }: LedgerRoutesOptions): void {
  app.get<{ Querystring: schemas.BalancesQuery }>(
    '/v1/ledger/balances',
    {
      onRequest: guard.allow('ledger:read'),
      schema: documented({
        operationId: 'listLedgerBalances',
        summary: 'What every account has come to, by currency',
        tags: ['ledger'],
        querystring: schemas.BalancesQuery,
        answers: { 200: ref('LedgerBalanceList') },
      }),
    },
    async ({ principal, query }, reply) => {
      const balances = await readBalances(database, principal.shopId, query.currency ?? null)
      return sendJson(reply, 200, balancesJson(balances))
    },
  )

  app.get<{ Querystring: schemas.EntriesQuery }>(
    '/v1/ledger/entries',
    {
      onRequest: guard.allow('ledger:read'),
      schema: documented({
        operationId: 'listLedgerEntries',
        summary: 'Entries, oldest first',
        description:
          'An event is booked a moment after it has happened. A page of one account may be empty and still name a next one: it has looked so far.',
        tags: ['ledger'],
        querystring: schemas.EntriesQuery,
        answers: { 200: ref('LedgerEntryList') },
        refusals: ['cursor_invalid', 'not_found'],
      }),
    },
    async ({ principal, query }, reply) => {
      const after = entryKeyOf(query.after)
      if (after === undefined) return sendRefused(reply, refused('cursor_invalid'))
      const orderId = query.order === undefined ? null : orderOf(query.order, cell)
      if (orderId === undefined) return sendRefused(reply, refused('not_found'))
      const filter = { orderId, account: (query.account ?? null) as Account | null }
      const page = { after, limit: query.limit ?? limits.listLimitDefault, scan: limits.ledgerScanMax }
      const { entries, next } = await readEntries(database, principal.shopId, filter, page)
      return sendJson(reply, 200, entriesJson(entries, next && cursorOf(next), cell))
    },
  )
}

const orderOf = (text: string, cell: CellName): Uuid | undefined => {
  const id = parseWireId(text)
  return id && id.prefix === 'ord' && id.cell === cell ? id.uuid : undefined
}

const cursorOf = ({ seq, line }: EntryKey): string => Buffer.from(`${seq}.${line}`).toString('base64url')

/** Before all entries without a cursor; undefined for what is none of ours. */
function entryKeyOf(cursor: string | undefined): EntryKey | undefined {
  if (cursor === undefined || cursor === '') return { seq: 0, line: 0 }
  const match = /^(\d{1,15})\.(\d{1,4})$/.exec(Buffer.from(cursor, 'base64url').toString())
  return match ? { seq: Number(match[1]), line: Number(match[2]) } : undefined
}

function bookRoute(app: FastifyInstance, { cell, guard, database, readOrder, now }: LedgerRoutesOptions): void {
  app.post<{ Body: schemas.BookingBody }>(
    '/v1/ledger/entries',
    {
      onRequest: guard.allow('ledger:write'),
      schema: documented({
        operationId: 'bookLedgerEntry',
        summary: 'Book a fee, or write off what will never be paid',
        description:
          'A write-off takes what the buyer owes on an order, or is owed, out of the receivables, once nothing of the order is under way. The entry stands in the ledger a moment later.',
        tags: ['ledger'],
        keyed: true,
        body: schemas.BookingBody,
        answers: { 201: ref('LedgerBooking') },
        refusals: [
          'currency_mismatch',
          'ledger_behind',
          'order_not_found',
          'payment_in_progress',
          'write_off_too_large',
        ],
      }),
    },
    async (request, reply) => {
      const { principal, body } = request
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const orderId = orderOf(body.order_id, cell)
      if (!orderId) return sendRefused(reply, refused('order_not_found'))
      const at = now()
      const ids = { id: uuidV7(at, randomIdBytes()), eventId: uuidV7(at, randomIdBytes()) }
      const outcome = await book(
        { cell, database, readOrder },
        { shopId: principal.shopId, key, orderId, body, now: at, ...ids },
      )
      if (!outcome.ok) return sendRefused(reply, outcome)
      if (outcome.replayed) reply.header('idempotent-replayed', 'true')
      reply.header('location', `/v1/ledger/entries?order=${body.order_id}`)
      return sendJson(reply, 201, bookingJson(outcome.value, cell))
    },
  )
}
