// Schemas that several modules' routes share, by the words of API.md. Objects are closed: an unknown field is refused.
// `told` is the schema that OpenAPI shows in place of one, null for none: fields and values of a later version are known
// here, so that their refusal is `not_available`, but are not told.
import { type Static, type TObject, type TProperties, Type } from 'typebox'
import { limits } from './limits.ts'
import { amountMax } from './money.ts'

/** No control characters (C0, DEL, C1), which includes NUL and line ends. */
const withoutControls = '^[^\\u0000-\\u001f\\u007f-\\u009f]*$'
const withoutControlsSome = '^[^\\u0000-\\u001f\\u007f-\\u009f]+$'

export const closed = <P extends TProperties>(properties: P, options: object = {}): TObject<P> =>
  Type.Object(properties, { additionalProperties: false, ...options })

/** One line of text, at least one character. */
export const line = (maxLength: number, description?: string) =>
  Type.String({ minLength: 1, maxLength, pattern: withoutControlsSome, ...(description ? { description } : {}) })

const text = (maxLength: number) => Type.String({ maxLength, pattern: withoutControls })

export const Sku = Type.String({
  minLength: 1,
  maxLength: limits.skuCharactersMax,
  pattern: withoutControlsSome,
  description: 'Case matters; no control characters.',
})
export const LocationCode = Type.String({
  pattern: `^[A-Za-z0-9][A-Za-z0-9._-]{0,${limits.locationCharactersMax - 1}}$`,
})
export const Quantity = Type.Integer({ minimum: 1, maximum: limits.quantityMax })
export const Currency = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217.' })
const Country = Type.String({ pattern: '^[A-Z]{2}$', description: 'ISO 3166-1 alpha-2.' })
export const Time = Type.String({ format: 'date-time', maxLength: 40, description: 'RFC 3339.' })
export const Money = closed(
  { amount: Type.Integer({ minimum: 0, maximum: amountMax, description: 'Minor units.' }), currency: Currency },
  { description: 'Integer minor units of an ISO 4217 currency.' },
)
export const OrderId = Type.String({ pattern: '^ord_[a-z][a-z0-9]{1,15}_[0-7][0-9a-hjkmnp-tv-z]{25}$' })
export const HoldId = Type.String({ pattern: '^hld_[a-z][a-z0-9]{1,15}_[0-7][0-9a-hjkmnp-tv-z]{25}$' })

const addressFields = {
  name: Type.Optional(text(limits.textCharactersMax)),
  line1: Type.Optional(text(limits.textCharactersMax)),
  line2: Type.Optional(text(limits.textCharactersMax)),
  city: Type.Optional(text(limits.textCharactersMax)),
  postal_code: Type.Optional(text(limits.textCharactersMax)),
  region: Type.Optional(text(limits.textCharactersMax)),
  country: Country,
}
export const Address = closed(addressFields)
export type Address = Static<typeof Address>

/** One of some words, as `enum`. */
export const oneOf = <const T extends string>(words: readonly T[], options: object = {}) =>
  Type.Unsafe<T>({ type: 'string', enum: [...words], ...options })

/** A schema that OpenAPI names: `components` of its module. */
export const ref = (name: string) => Type.Unsafe<object>({ $ref: `#/components/schemas/${name}` })

/** Checked by hand, since what is wrong with it has codes of its own. */
export const IdempotencyKey = Type.String({
  told: { type: 'string', minLength: 1, maxLength: limits.idempotencyKeyCharactersMax, pattern: '^[!-~]+$' },
})

export const nullable = <T>(schema: object) => Type.Unsafe<T | null>({ anyOf: [schema, { type: 'null' }] })

/** A path or query value with an id: any text, since what is no id of ours is simply not found. */
export const AnyText = Type.String({ maxLength: limits.pathCharactersMax })

export const page = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.listLimitMax, default: limits.listLimitDefault })),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: '`next_cursor` of the page before.' })),
}
export const listOf = (item: object) =>
  Type.Unsafe<object>({
    type: 'object',
    required: ['data', 'next_cursor'],
    properties: { data: { type: 'array', items: item }, next_cursor: { type: ['string', 'null'] } },
  })
