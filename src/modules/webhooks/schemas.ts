// What webhook routes take and answer.
import { type Static, Type } from 'typebox'
import { limits } from '../../base/limits.ts'
import { AnyText, closed, listOf, nullable, oneOf, page, ref, Time } from '../../base/schemas.ts'
import { deadReasons, deliveryStatuses, disabledReasons } from './types.ts'

const Url = Type.String({
  minLength: 1,
  maxLength: limits.webhookUrlCharactersMax,
  description: 'https; in the development profile http and loopback too.',
})
const Types = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
  minItems: 1,
  maxItems: limits.webhookTypesMax,
  uniqueItems: true,
  description: '`order.placed`, `order.*` or `*`.',
})

export const EndpointBody = closed({ url: Url, types: Types, enabled: Type.Optional(Type.Boolean()) })
export type EndpointBody = Static<typeof EndpointBody>
export const EndpointChangeBody = closed({
  url: Type.Optional(Url),
  types: Type.Optional(Types),
  enabled: Type.Optional(Type.Boolean({ description: 'True also forgets past failures.' })),
})
export type EndpointChangeBody = Static<typeof EndpointChangeBody>

export const IdParams = closed({ id: AnyText })
export const DeliveriesQuery = closed({
  endpoint: Type.Optional(AnyText),
  status: Type.Optional(oneOf(deliveryStatuses)),
  event: Type.Optional(Type.String({ maxLength: 64, description: 'The id of an event.' })),
  order: Type.Optional(
    Type.String({ maxLength: 64, description: 'The id of an order: what was told of it, by its home cell.' }),
  ),
  ...page,
})
export type DeliveriesQuery = Static<typeof DeliveriesQuery>

const endpointFields = {
  id: Type.String(),
  url: Type.String(),
  types: Type.Array(Type.String()),
  enabled: Type.Boolean(),
  disabled_reason: nullable(oneOf(disabledReasons)),
  failing_since: nullable(Time),
  created_at: Time,
}
const secret = Type.String({ description: '`whsec_…`: shown now and never again.' })
const deliveryFields = {
  id: Type.String({ description: 'Also the `webhook-id` of its requests.' }),
  endpoint_id: Type.String(),
  event_id: Type.String(),
  type: Type.String(),
  subject: Type.String(),
  status: oneOf(deliveryStatuses),
  reason: nullable(oneOf(deadReasons)),
  attempt_count: Type.Integer({ minimum: 0 }),
  next_attempt_at: nullable(Time),
  created_at: Time,
  updated_at: Time,
}
const AttemptAnswer = Type.Object({
  at: Time,
  ms: Type.Integer(),
  status: nullable(Type.Integer()),
  answer: Type.String({ description: 'The first 4 KiB.' }),
  error: nullable(Type.String({ description: 'Why there was no answer.' })),
})

export const components = {
  WebhookEndpoint: Type.Object(endpointFields),
  WebhookEndpointWithSecret: Type.Object({ ...endpointFields, secret }),
  WebhookEndpointList: listOf(ref('WebhookEndpoint')),
  WebhookDelivery: Type.Object(deliveryFields),
  WebhookDeliveryWithAttempts: Type.Object({
    ...deliveryFields,
    attempts: Type.Array(AttemptAnswer),
    body: nullable(Type.String({ description: 'As it was sent; null when the event is no longer kept.' })),
  }),
  WebhookDeliveryList: listOf(ref('WebhookDelivery')),
}
