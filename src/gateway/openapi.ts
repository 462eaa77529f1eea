// The OpenAPI 3.1 document, made from the very schemas that requests are validated by. Nothing in it is written twice.
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { type ErrorCode, errorTable } from '../base/errors.ts'
import * as deadLetters from '../modules/deadletters/routes.ts'
import * as fulfilment from '../modules/fulfilment/schemas.ts'
import * as ledger from '../modules/ledger/schemas.ts'
import * as orders from '../modules/orders/schemas.ts'
import * as payments from '../modules/payments/schemas.ts'
import * as settings from '../modules/shops/settings.ts'
import { scopes, storefrontScopes } from '../modules/shops/types.ts'
import * as stock from '../modules/stock/schemas.ts'
import * as webhooks from '../modules/webhooks/schemas.ts'
import * as cells from './cells.ts'
import * as chaos from './chaos.ts'
import * as consumers from './consumers.ts'
import * as events from './events.ts'
import * as objectives from './objectives.ts'
import * as pulse from './pulse.ts'
import * as slowQueries from './slow-queries.ts'

const codes = Object.keys(errorTable) as ErrorCode[]

const Problem = Type.Object(
  {
    type: Type.String({ description: 'A reference to the code’s description.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    code: Type.Unsafe<ErrorCode>({ type: 'string', enum: codes }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'A JSON pointer into the body, or into what `in` names.' }),
          code: Type.String(),
          detail: Type.Optional(Type.String()),
          in: Type.Optional(Type.Unsafe<string>({ type: 'string', enum: ['query', 'path'] })),
          sku: Type.Optional(Type.String()),
          requested: Type.Optional(Type.Integer()),
          available: Type.Optional(Type.Integer()),
        }),
      ),
    ),
    may_have_happened: Type.Optional(Type.Boolean({ description: 'With 503: whether it may have been done.' })),
  },
  { description: 'RFC 9457.' },
)

/** The schema as OpenAPI tells it: `told` in place of what stands beside it. */
function told<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(told) as T
  if (typeof schema !== 'object' || schema === null) return schema
  const found = schema as Record<string, unknown>
  if (found.told) return told(found.told) as T
  const entries = Object.entries(found).filter(([, value]) => !isUntold(value))
  return Object.fromEntries(entries.map(([name, value]) => [name, told(value)])) as T
}

const isUntold = (schema: unknown): boolean =>
  typeof schema === 'object' && schema !== null && (schema as { told?: unknown }).told === null

/** To be called before the routes are registered. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    transform: ({ schema, url }) => ({ schema: told(schema), url }),
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Holdfast',
        version: '1',
        description: 'An order engine for scarce things. Same key, same order; nothing is sold twice.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags: [
        { name: 'orders', description: 'Place, read and cancel orders.' },
        { name: 'fulfilment', description: 'What is to be picked, packed and shipped.' },
        { name: 'holds', description: 'Reservations with an expiry.' },
        { name: 'stock', description: 'Units, where they are, and how they may be sold.' },
        { name: 'events', description: 'What happened, in order.' },
        { name: 'webhooks', description: 'Events delivered to URLs.' },
        { name: 'test-provider', description: 'What the test provider holds; development profile only.' },
        { name: 'dead letters', description: 'What was given up, to be tried again or dropped.' },
        { name: 'consumers', description: 'Readers of the log, steered by hand.' },
        { name: 'cells', description: 'Which cells there are, where, and how they are.' },
        { name: 'settings', description: 'What the shop has decided.' },
        { name: 'ledger', description: 'Money: balanced double entries, made of the events.' },
        { name: 'control room', description: 'What operators see.' },
        { name: 'chaos', description: 'Faults on purpose; development profile only.' },
        { name: 'health', description: 'For probes, scrapers and auditors.' },
      ],
      security: [{ key: [] }],
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            description: `\`sk_…\` for servers, with scopes: ${scopes.join(', ')}. \`pk_…\` for storefronts: ${storefrontScopes.join(', ')}, and their own orders by client_secret.`,
          },
        },
        schemas: {
          Problem,
          ...orders.components,
          ...stock.components,
          ...ledger.components,
          ...fulfilment.components,
          ...settings.components,
          ...deadLetters.components,
          ...consumers.components,
          ...cells.components,
          ...pulse.components,
          ...chaos.components,
          ...objectives.components,
          ...slowQueries.components,
          ...payments.components,
          ...events.components,
          ...webhooks.components,
        } as never,
      },
    },
  })
}
