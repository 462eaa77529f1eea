// Routes of dead letters: seen, tried again, dropped.
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { limits } from '../../base/limits.ts'
import { accepted, refused } from '../../base/result.ts'
import { AnyText, closed, line, listOf, nullable, oneOf, page, ref, Time } from '../../base/schemas.ts'
import { toRfc3339 } from '../../base/time.ts'
import { sendJson, sendNothing, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import type { Database } from '../../runtime/pg.ts'
import { once } from '../../runtime/request-keys.ts'
import type { Guard } from '../shops/types.ts'
import type { DeadLetters } from './service.ts'
import type { DropRecord } from './store.ts'
import { type DeadLetter, deadKinds } from './types.ts'

const letterFields = {
  id: Type.String(),
  kind: oneOf(deadKinds),
  order_id: nullable<string>(Type.String()),
  reason: Type.String({ description: 'What went wrong last, in the words of whoever tried.' }),
  tries: Type.Integer({ description: 'Of a `consumer_event`, 0 when it only waits behind another of its subject.' }),
  since: Time,
  retry_asked_at: nullable<string>(Time),
  data: Type.Object({}, { additionalProperties: true, description: 'By kind.' }),
}
const Dropped = Type.Object({
  ...letterFields,
  dropped_at: Time,
  dropped_by: nullable<string>(Type.String({ description: 'Id of the key.' })),
  drop_reason: Type.String(),
})
/** Named in OpenAPI. */
export const components = {
  DeadLetter: Type.Object(letterFields),
  DeadLetterList: listOf(ref('DeadLetter')),
  DroppedLetterList: listOf(Dropped),
}

const ListQuery = closed({ kind: Type.Optional(oneOf(deadKinds)), ...page })
const DroppedQuery = closed(page)
const DropQuery = closed({ reason: line(limits.dropReasonCharactersMax, 'Why; it is kept.') })
const Params = closed({ id: AnyText })

export type DeadLetterRoutesOptions = {
  guard: Guard
  database: Pick<Database, 'query' | 'transaction'>
  deadLetters: DeadLetters
}

export function deadLetterRoutes(app: FastifyInstance, options: DeadLetterRoutesOptions): void {
  const { guard, deadLetters } = options
  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/v1/dead-letters',
    {
      onRequest: guard.allow('dead-letters:read'),
      schema: documented({
        operationId: 'listDeadLetters',
        summary: 'Everything that was given up, kind after kind',
        tags: ['dead letters'],
        querystring: ListQuery,
        answers: { 200: ref('DeadLetterList') },
        refusals: ['cursor_invalid'],
      }),
    },
    async ({ principal, query }, reply) => {
      const { kind = null, cursor = null, limit = limits.listLimitDefault } = query
      const found = await deadLetters.list(principal.shopId, { kind, cursor, limit })
      if (!found.ok) return sendRefused(reply, found)
      const { data, nextCursor } = found.value
      return sendJson(reply, 200, JSON.stringify({ data: data.map(letterAnswer), next_cursor: nextCursor }))
    },
  )

  app.get<{ Querystring: Static<typeof DroppedQuery> }>(
    '/v1/dead-letters/dropped',
    {
      onRequest: guard.allow('dead-letters:read'),
      schema: documented({
        operationId: 'listDroppedLetters',
        summary: 'What was dropped, why and by which key, newest first',
        tags: ['dead letters'],
        querystring: DroppedQuery,
        answers: { 200: ref('DroppedLetterList') },
        refusals: ['cursor_invalid'],
      }),
    },
    async ({ principal, query }, reply) => {
      const { cursor = null, limit = limits.listLimitDefault } = query
      const found = await deadLetters.listDropped(principal.shopId, { cursor, limit })
      if (!found.ok) return sendRefused(reply, found)
      const { data, nextCursor } = found.value
      return sendJson(reply, 200, JSON.stringify({ data: data.map(droppedAnswer), next_cursor: nextCursor }))
    },
  )
  oneLetterRoutes(app, options)
}

function oneLetterRoutes(app: FastifyInstance, { guard, database, deadLetters }: DeadLetterRoutesOptions): void {
  app.get<{ Params: { id: string } }>(
    '/v1/dead-letters/:id',
    {
      onRequest: guard.allow('dead-letters:read'),
      schema: documented({
        operationId: 'getDeadLetter',
        summary: 'A dead letter',
        tags: ['dead letters'],
        params: Params,
        answers: { 200: ref('DeadLetter') },
        refusals: ['not_found'],
      }),
    },
    async ({ principal, params }, reply) => {
      const letter = await deadLetters.get(principal.shopId, params.id)
      if (!letter) return sendRefused(reply, refused('not_found'))
      return sendJson(reply, 200, JSON.stringify(letterAnswer(letter)))
    },
  )

  app.post<{ Params: { id: string } }>(
    '/v1/dead-letters/:id/retry',
    {
      onRequest: guard.allow('dead-letters:write'),
      schema: documented({
        operationId: 'retryDeadLetter',
        summary: 'Have it tried again, soon',
        description:
          'Answers the letter as it was, with the id that it has from now on. Asking twice asks once. Of a `consumer_event`, all of its subject is applied in order.',
        tags: ['dead letters'],
        keyed: true,
        params: Params,
        answers: { 200: ref('DeadLetter') },
        refusals: ['idempotency_key_in_flight', 'not_found'],
      }),
    },
    async (request, reply) => {
      const { shopId } = request.principal
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const asked = await once(database, { shopId, key }, async () => {
        const retried = await deadLetters.retry(shopId, request.params.id)
        if (!retried.ok) return retried
        const { letter, id } = retried.value
        return accepted(JSON.stringify({ ...letterAnswer(letter), id }))
      })
      if (!asked.ok) return sendRefused(reply, asked)
      if (asked.replayed) reply.header('idempotent-replayed', 'true')
      return sendJson(reply, 200, asked.value)
    },
  )

  app.delete<{ Params: { id: string }; Querystring: Static<typeof DropQuery> }>(
    '/v1/dead-letters/:id',
    {
      onRequest: guard.allow('dead-letters:write'),
      schema: documented({
        operationId: 'dropDeadLetter',
        summary: 'Give it up for good, and say why',
        tags: ['dead letters'],
        params: Params,
        querystring: DropQuery,
        answers: { 204: null },
        refusals: ['dead_letter_blocked', 'not_found'],
      }),
    },
    async ({ principal, params, query }, reply) => {
      const by = { reason: query.reason, keyId: principal.keyId }
      const dropped = await deadLetters.drop(principal.shopId, params.id, by)
      return dropped.ok ? sendNothing(reply) : sendRefused(reply, dropped)
    },
  )
}

/** As the API and the command line tell it. */
export const letterAnswer = ({ id, kind, orderId, reason, tries, since, retryAskedAt, data }: DeadLetter) => ({
  id,
  kind,
  order_id: orderId,
  reason,
  tries,
  since: toRfc3339(since),
  retry_asked_at: retryAskedAt === null ? null : toRfc3339(retryAskedAt),
  data,
})

export const droppedAnswer = ({ letter, reason, droppedAt, droppedBy }: DropRecord) => ({
  ...letterAnswer(letter),
  dropped_at: toRfc3339(droppedAt),
  dropped_by: droppedBy,
  drop_reason: reason,
})
