// What a program asks before all else: which cell and release answers here, and what the key it was given may do.
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { CellName } from '../base/ids.ts'
import { nullable, oneOf } from '../base/schemas.ts'
import { describeShop } from '../modules/shops/service.ts'
import { type Guard, scopes } from '../modules/shops/types.ts'
import type { Profile } from '../runtime/config.ts'
import { sendJson } from '../runtime/http.ts'
import { documented } from '../runtime/http-document.ts'
import type { Database } from '../runtime/pg.ts'
import { release } from '../runtime/release.ts'

const answering = {
  cell: Type.String(),
  version: Type.String({ description: 'Of the release.' }),
  profile: oneOf(['development', 'production'] as const satisfies Profile[]),
}
const Session = Type.Object({
  ...answering,
  shop: Type.Object({ id: Type.String(), name: Type.String(), mode: oneOf(['test', 'live']) }),
  kind: oneOf(['sk', 'pk']),
  trace_link: nullable<string>(
    Type.String({
      description: 'Where people look at a trace, with `{trace_id}` for its id; null where nobody has said.',
    }),
  ),
  scopes: Type.Array(oneOf(scopes)),
})
const ControlRoom = Type.Object({
  ...answering,
  development_key: nullable<string>(
    Type.String({ description: 'The key that everybody knows; null outside the development profile.' }),
  ),
})

export type SessionRoutesOptions = {
  cell: CellName
  profile: Profile
  /** Accepted without being stored; null where there is none. */
  developmentKey: string | null
  /** With `{trace_id}` for a trace's id; null: none was said. */
  traceLink?: string | null
  guard: Guard
  database: Pick<Database, 'query'>
}

export function sessionRoutes(app: FastifyInstance, options: SessionRoutesOptions): void {
  const { cell, profile, developmentKey, traceLink = null, guard, database } = options
  const self = { cell, version: release, profile }
  app.get(
    '/v1/session',
    {
      onRequest: guard.allow(),
      schema: documented({
        operationId: 'getSession',
        summary: 'Which cell answers, whose key this is, and what it may do',
        tags: ['control room'],
        answers: { 200: Session },
      }),
    },
    async ({ principal }, reply) => {
      const shop = await describeShop(database, principal.shopId)
      const answer = { ...self, shop, kind: principal.kind, trace_link: traceLink, scopes: [...principal.scopes] }
      return sendJson(reply, 200, JSON.stringify(answer))
    },
  )
  app.get(
    '/control-room.json',
    {
      schema: documented({
        operationId: 'getControlRoom',
        summary: 'What the control room knows before it has a key',
        tags: ['control room'],
        open: true,
        answers: { 200: ControlRoom },
      }),
    },
    (_, reply) => sendJson(reply, 200, JSON.stringify({ ...self, development_key: developmentKey })),
  )
}
