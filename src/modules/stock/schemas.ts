// Shapes of stock and holds on the wire, in both directions; bodies are validated by them, and OpenAPI shows them.
import { type Static, Type } from 'typebox'
import { limits } from '../../base/limits.ts'
import {
  Address,
  AnyText,
  closed,
  HoldId,
  IdempotencyKey,
  LocationCode,
  line,
  nullable,
  oneOf,
  Quantity,
  ref,
  Sku,
  Time,
} from '../../base/schemas.ts'
import type { AdjustReason, HoldStatus, Tracking } from './types.ts'

const reasons = ['received', 'returned', 'correction', 'counted', 'damaged', 'lost'] as const satisfies AdjustReason[]
const Units = Type.Integer({ minimum: 0, maximum: limits.unitsMax })

/** Either `delta` or `set`. */
export const Adjustment = closed(
  {
    sku: Sku,
    delta: Type.Optional(Type.Integer({ minimum: -limits.unitsMax, maximum: limits.unitsMax })),
    set: Type.Optional(Type.Integer({ minimum: 0, maximum: limits.unitsMax, description: 'An absolute count.' })),
    as_of: Type.Optional(Time),
    reason: oneOf(reasons),
    location: Type.Optional(LocationCode),
  },
  { oneOf: [{ required: ['delta'] }, { required: ['set'] }], dependentRequired: { as_of: ['set'] } },
)
export type AdjustmentBody = Static<typeof Adjustment>

const adjustments = Type.Array(Adjustment, { minItems: 1, maxItems: limits.adjustmentsMax })
export const AdjustmentsBody = closed({ adjustments })
export type AdjustmentsBody = Static<typeof AdjustmentsBody>

const keyed = { idempotency_key: Type.Optional(IdempotencyKey) }
/** Lines of the bulk endpoint. */
export const BulkAdjustmentsBody = closed({ ...keyed, adjustments })
export type BulkAdjustmentsBody = Static<typeof BulkAdjustmentsBody>
const { oneOf: deltaOrSet, dependentRequired } = Adjustment as unknown as Record<string, unknown>
export const BulkAdjustmentBody = closed(
  { ...keyed, ...Adjustment.properties },
  { oneOf: deltaOrSet, dependentRequired },
)
export type BulkAdjustmentBody = Static<typeof BulkAdjustmentBody>
/** For OpenAPI. */
export const BulkStockLine = Type.Unsafe<object>({
  anyOf: [BulkAdjustmentsBody, closed({ ...keyed, ...Adjustment.properties })],
})

const policy = {
  tracking: Type.Optional(oneOf(['counted', 'none'] as const satisfies Tracking[])),
  allowance: Type.Optional(Units),
  regions: Type.Optional(
    nullable<string[]>(
      Type.Array(Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }), { minItems: 1, maxItems: 50, uniqueItems: true }),
    ),
  ),
  group: Type.Optional(nullable<string>(line(limits.skuCharactersMax))),
}
export const PolicyBody = closed(policy)
export type PolicyBody = Static<typeof PolicyBody>
export const PoliciesBody = closed({
  policies: Type.Array(closed({ sku: Sku, ...policy }), { minItems: 1, maxItems: limits.policiesMax }),
})
export type PoliciesBody = Static<typeof PoliciesBody>

export const LocationBody = closed({
  name: line(limits.textCharactersMax),
  cell: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9]{1,15}$' })),
  priority: Type.Optional(Type.Integer({ minimum: -1_000_000, maximum: 1_000_000, description: 'Lower sells first.' })),
  address: Type.Optional(nullable<Address>(Address)),
  lat: Type.Optional(nullable<number>(Type.Number({ minimum: -90, maximum: 90 }))),
  lon: Type.Optional(nullable<number>(Type.Number({ minimum: -180, maximum: 180 }))),
})
export type LocationBody = Static<typeof LocationBody>

const HoldLine = closed({ sku: Sku, quantity: Quantity })
const ttlSeconds = Type.Integer({ minimum: 1, maximum: limits.holdTtlSecondsMax })
export const HoldBody = closed({
  lines: Type.Array(HoldLine, { minItems: 1, maxItems: limits.holdLinesMax }),
  ttl_seconds: ttlSeconds,
})
export type HoldBody = Static<typeof HoldBody>
export const ExtendBody = closed({ ttl_seconds: ttlSeconds })
export type ExtendBody = Static<typeof ExtendBody>

export const SkuParams = closed({ sku: Sku })
export const CodeParams = closed({ code: LocationCode })
export const IdParams = closed({ id: AnyText })
export const StockQuery = closed({ sku: Type.Array(Sku, { minItems: 1, maxItems: limits.stockQuerySkusMax }) })

// Answers
const counters = { on_hand: Units, reserved: Units, committed: Units, available: Units }
const Adjusted = Type.Object({
  sku: Sku,
  ...counters,
  short: Units,
  ignored: Type.Optional(Type.Literal(true, { description: 'A later count stands; nothing was changed.' })),
})
const AdjustedAnswer = Type.Object({ data: Type.Array(Adjusted) })
export const BulkStockAnswer = Type.Object({
  status: Type.Integer(),
  data: Type.Optional(Type.Array(Adjusted)),
  replayed: Type.Optional(Type.Boolean()),
  problem: Type.Optional(ref('Problem')),
})
const StockAnswer = Type.Object({
  sku: Sku,
  tracking: oneOf(['counted', 'none'] as const),
  ...counters,
  short: Units,
  allowance: Units,
  in_flight: Units,
  cells: Type.Array(Type.Object({ cell: Type.String(), ...counters, as_of: Time })),
  locations: Type.Array(Type.Object({ location: LocationCode, on_hand: Units, available: Units })),
})
const StockListAnswer = Type.Object({ data: Type.Array(ref('Stock')) })
const PolicyAnswer = Type.Object({
  sku: Sku,
  tracking: oneOf(['counted', 'none'] as const),
  allowance: Units,
  regions: nullable<string[]>(Type.Array(Type.String())),
  group: nullable<string>(Type.String()),
  version: Type.Integer(),
})
const PoliciesAnswer = Type.Object({ data: Type.Array(ref('Policy')) })
const LocationAnswer = Type.Object({
  code: LocationCode,
  name: Type.String(),
  cell: Type.String(),
  priority: Type.Integer(),
  address: nullable<Address>(Address),
  lat: nullable<number>(Type.Number()),
  lon: nullable<number>(Type.Number()),
  version: Type.Integer(),
})
const LocationsAnswer = Type.Object({
  data: Type.Array(ref('Location')),
  next_cursor: Type.Null({ description: 'All are on one page.' }),
})
const HoldAnswer = Type.Object({
  id: HoldId,
  status: oneOf(['active', 'consumed', 'released', 'expired'] as const satisfies HoldStatus[]),
  lines: Type.Array(Type.Object({ sku: Sku, quantity: Quantity })),
  expires_at: Time,
  version: Type.Integer(),
})

/** Named in OpenAPI. */
export const components = {
  AdjustedStock: AdjustedAnswer,
  Stock: StockAnswer,
  StockList: StockListAnswer,
  Policy: PolicyAnswer,
  PolicyList: PoliciesAnswer,
  Location: LocationAnswer,
  LocationList: LocationsAnswer,
  Hold: HoldAnswer,
}
