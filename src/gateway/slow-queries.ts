// What the cell's PostgreSQL is slow with, for whoever looks after it.
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { ref, Time } from '../base/schemas.ts'
import { toRfc3339 } from '../base/time.ts'
import type { Guard } from '../modules/shops/types.ts'
import { sendJson } from '../runtime/http.ts'
import { documented } from '../runtime/http-document.ts'
import type { Database } from '../runtime/pg.ts'
import { readSlowQueries } from '../runtime/slow-queries.ts'

const Query = Type.String({ description: 'Shortened, with `$n` in place of values.' })

/** Named in OpenAPI. */
export const components = {
  SlowQueries: Type.Object({
    running: Type.Array(
      Type.Object({
        process_id: Type.Integer({ description: 'What `pg_cancel_backend` takes.' }),
        name: Type.String({ description: 'Of the session: a lane, a consumer, a pool.' }),
        seconds: Type.Number(),
        waits_for: Type.Union([Type.String(), Type.Null()], {
          description: '`Lock`, `IO` and the like, as PostgreSQL names it; null: it computes.',
        }),
        query: Query,
      }),
      { description: 'The longest first.' },
    ),
    costliest: Type.Union([
      Type.Object({
        since: Time,
        queries: Type.Array(
          Type.Object({
            id: Type.String({ description: 'Of the statement, in PostgreSQL: `queryid`.' }),
            query: Query,
            calls: Type.Integer(),
            rows: Type.Integer(),
            total_seconds: Type.Number(),
            mean_ms: Type.Number(),
            max_ms: Type.Number(),
          }),
          { description: 'Those that took most time first.' },
        ),
      }),
      Type.Null({ description: 'This PostgreSQL does not count it: it lacks pg_stat_statements.' }),
    ]),
  }),
}

export type SlowQueryRoutesOptions = { guard: Guard; database: Pick<Database, 'query'> }

export function slowQueryRoutes(app: FastifyInstance, { guard, database }: SlowQueryRoutesOptions): void {
  app.get(
    '/v1/slow-queries',
    {
      onRequest: guard.allow('cells:read'),
      schema: documented({
        operationId: 'readSlowQueries',
        summary:
          'The statements that the cell’s PostgreSQL runs for long just now, and those that took most of its time',
        tags: ['health'],
        answers: { 200: ref('SlowQueries') },
      }),
    },
    async (_, reply) => {
      const { running, costliest } = await readSlowQueries(database)
      const answer = {
        running: running.map(({ pid, name, seconds, waitsFor, query }) => ({
          process_id: pid,
          name,
          seconds: rounded(seconds),
          waits_for: waitsFor,
          query,
        })),
        costliest: costliest && {
          since: toRfc3339(costliest.since),
          queries: costliest.queries.map(({ id, query, calls, rows, seconds, meanMs, maxMs }) => ({
            id,
            query,
            calls,
            rows,
            total_seconds: rounded(seconds),
            mean_ms: rounded(meanMs),
            max_ms: rounded(maxMs),
          })),
        },
      }
      return sendJson(reply, 200, JSON.stringify(answer))
    },
  )
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000
