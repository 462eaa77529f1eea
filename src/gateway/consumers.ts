// Routes for steering consumers by hand. They are the cell's, not a shop's.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { limits } from '../base/limits.ts'
import { accepted, type Outcome, refused } from '../base/result.ts'
import { closed, line, ref, Time } from '../base/schemas.ts'
import { toRfc3339 } from '../base/time.ts'
import type { Guard } from '../modules/shops/types.ts'
import {
  type ConsumerState,
  findConsumer,
  listConsumers,
  rewindConsumer,
  setPaused,
} from '../runtime/consumers-admin.ts'
import { sendJson, sendRefused } from '../runtime/http.ts'
import { documented } from '../runtime/http-document.ts'
import type { Lives } from '../runtime/incarnation.ts'
import type { Database } from '../runtime/pg.ts'
import { once } from '../runtime/request-keys.ts'

const Consumer = Type.Object({
  name: Type.String(),
  paused: Type.Boolean(),
  position: Type.String({ description: 'Opaque; what `to` of a rewind takes.' }),
  lag_events: Type.Integer({
    description:
      'At most so many events are still to be read. Of another cell’s log that is not known here, and 0: see `data_as_of` of `GET /v1/cells`.',
  }),
  lag_seconds: Type.Integer({ description: 'The age of the oldest of them.' }),
  dead_letters: Type.Integer({ description: 'Events of it that stand aside.' }),
  updated_at: Time,
})
/** Named in OpenAPI. */
export const components = {
  Consumer,
  ConsumerList: Type.Object({
    data: Type.Array(ref('Consumer')),
    next_cursor: Type.Null({ description: 'All are on one page.' }),
  }),
}

const Params = closed({ name: line(limits.textCharactersMax) })
const RewindBody = closed({
  to: line(limits.textCharactersMax, 'A position, or `start`: the oldest event kept.'),
  force: Type.Optional(Type.Boolean({ description: 'Forward too; what is skipped is not applied.' })),
})

export type ConsumerRoutesOptions = {
  guard: Guard
  database: Pick<Database, 'query' | 'transaction'>
  lives(): Lives
  /** Makes this process heed at once what was changed. */
  changed(): Promise<void>
}

export function consumerRoutes(app: FastifyInstance, options: ConsumerRoutesOptions): void {
  const { guard, database } = options
  app.get(
    '/v1/consumers',
    {
      onRequest: guard.allow('consumers:read'),
      schema: documented({
        operationId: 'listConsumers',
        summary: 'The consumers of the log, and how far behind they are',
        tags: ['consumers'],
        answers: { 200: ref('ConsumerList') },
      }),
    },
    async (_, reply) => {
      const data = (await listConsumers(database)).map(consumerAnswer)
      return sendJson(reply, 200, JSON.stringify({ data, next_cursor: null }))
    },
  )
  pauseRoutes(app, options)
  rewindRoute(app, options)
}

function pauseRoutes(app: FastifyInstance, options: ConsumerRoutesOptions): void {
  const { guard, database } = options
  for (const action of ['pause', 'resume'] as const) {
    app.post<{ Params: { name: string } }>(
      `/v1/consumers/:name/${action}`,
      {
        onRequest: guard.allow('consumers:write'),
        schema: documented({
          operationId: `${action}Consumer`,
          summary: action === 'pause' ? 'Apply nothing more until it is resumed' : 'Go on where it was paused',
          tags: ['consumers'],
          keyed: true,
          params: Params,
          answers: { 200: ref('Consumer') },
          refusals: ['idempotency_key_in_flight', 'not_found'],
        }),
      },
      (request, reply) =>
        steer(options, { request, reply }, async () =>
          (await setPaused(database, request.params.name, action === 'pause')) ? accepted('') : refused('not_found'),
        ),
    )
  }
}

function rewindRoute(app: FastifyInstance, options: ConsumerRoutesOptions): void {
  const { guard, database, lives } = options
  app.post<{ Params: { name: string }; Body: Static<typeof RewindBody> }>(
    '/v1/consumers/:name/rewind',
    {
      onRequest: guard.allow('consumers:write'),
      schema: documented({
        operationId: 'rewindConsumer',
        summary: 'Read again from a position on; what was applied is not applied again',
        tags: ['consumers'],
        keyed: true,
        params: Params,
        body: RewindBody,
        answers: { 200: ref('Consumer') },
        refusals: ['cursor_invalid', 'idempotency_key_in_flight', 'not_found', 'position_ahead', 'position_expired'],
      }),
    },
    (request, reply) =>
      steer(options, { request, reply }, async () => {
        const { to, force = false } = request.body
        const rewound = await rewindConsumer(database, lives(), { name: request.params.name, to, force })
        return rewound.ok ? accepted('') : rewound
      }),
  )
}

type Steering = { request: FastifyRequest<{ Params: { name: string } }>; reply: FastifyReply }

/** Does it, once for a key, and answers the consumer as it is now. */
async function steer(
  { guard, database, changed }: ConsumerRoutesOptions,
  { request, reply }: Steering,
  work: () => Promise<Outcome<string>>,
): Promise<FastifyReply> {
  const key = guard.keyOf(request)
  if ('code' in key) return sendRefused(reply, key)
  const done = await once(database, { shopId: request.principal.shopId, key }, work)
  if (!done.ok) return sendRefused(reply, done)
  await changed()
  if (done.replayed) reply.header('idempotent-replayed', 'true')
  return sendConsumer(reply, await findConsumer(database, request.params.name))
}

/** As the API and the command line tell it. */
export const consumerAnswer = (consumer: ConsumerState) => ({
  name: consumer.name,
  paused: consumer.paused,
  position: consumer.position,
  lag_events: consumer.lagEvents,
  lag_seconds: consumer.lagSeconds,
  dead_letters: consumer.dead,
  updated_at: toRfc3339(consumer.updatedAt),
})

const sendConsumer = (reply: FastifyReply, consumer: ConsumerState | undefined): FastifyReply =>
  consumer ? sendJson(reply, 200, JSON.stringify(consumerAnswer(consumer))) : sendRefused(reply, refused('not_found'))
