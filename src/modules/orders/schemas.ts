// Shapes of orders on the wire, in both directions; bodies are validated by them, and OpenAPI shows them.
import { type Static, type TSchema, Type } from 'typebox'
import { limits } from '../../base/limits.ts'
import {
  Address,
  AnyText,
  Currency,
  closed,
  HoldId,
  IdempotencyKey,
  LocationCode,
  line,
  listOf,
  Money,
  nullable,
  OrderId,
  oneOf,
  page,
  Quantity,
  ref,
  Sku,
  Time,
} from '../../base/schemas.ts'
import { type OrderStatus, orderTable, paymentTable, returnTable, shipmentTable } from './states.ts'
import type { CancelReason } from './types.ts'

const OrderLine = closed({
  sku: Sku,
  quantity: Quantity,
  unit_price: Type.Optional(Money),
  amount: Type.Optional(Money),
})

const Email = Type.String({
  maxLength: limits.emailCharactersMax,
  pattern: '^[^\\s@\\u0000-\\u001f]+@[^\\s@\\u0000-\\u001f]+$',
})
const Customer = closed(
  {
    email: Type.Optional(Email),
    external_id: Type.Optional(line(limits.referenceCharactersMax, 'The caller’s own word for the customer.')),
    id: Type.Optional(Type.String({ maxLength: 64, told: null })),
  },
  { minProperties: 1 },
)

const Metadata = Type.Unsafe<Record<string, string>>({
  type: 'object',
  maxProperties: limits.metadataKeysMax,
  propertyNames: { pattern: '^(?!__proto__$)[^\\u0000-\\u001f\\u007f]+$', maxLength: limits.metadataCharactersMax },
  additionalProperties: { type: 'string', maxLength: limits.metadataCharactersMax },
})

export const PaymentBody = closed({
  provider: Type.String({ minLength: 1, maxLength: 64, description: '`none`: paid elsewhere; `test`, `stripe`.' }),
  method: Type.Optional(
    Type.String({ maxLength: limits.textCharactersMax, description: 'The provider’s word for it.' }),
  ),
})
export type PaymentBody = Static<typeof PaymentBody>

const Note = Type.String({ maxLength: limits.noteCharactersMax })
const Tags = Type.Array(line(limits.tagCharactersMax), { maxItems: limits.tagsMax, uniqueItems: true })

export const OrderBody = closed({
  currency: Currency,
  lines: Type.Array(OrderLine, { minItems: 1, maxItems: limits.orderLinesMax }),
  hold_id: Type.Optional(HoldId),
  customer: Type.Optional(Customer),
  shipping_address: Type.Optional(Address),
  payment: Type.Optional(PaymentBody),
  reference: Type.Optional(line(limits.referenceCharactersMax, 'The caller’s own number; unique per shop.')),
  placed_at: Type.Optional(Time),
  note: Type.Optional(Note),
  tags: Type.Optional(Tags),
  metadata: Type.Optional(Metadata),
})
export type OrderBody = Static<typeof OrderBody>

/** A line of the bulk endpoint. */
export const BulkOrderBody = closed({
  idempotency_key: Type.Optional(IdempotencyKey),
  ...OrderBody.properties,
})
export type BulkOrderBody = Static<typeof BulkOrderBody>

export const cancelReasons = ['buyer', 'merchant', 'fraud', 'duplicate', 'short'] as const satisfies CancelReason[]
const linesOf = <T extends TSchema>(one: T) => Type.Array(one, { minItems: 1, maxItems: limits.orderLinesMax })
const Units = linesOf(closed({ sku: Sku, quantity: Quantity }))
export const CancelBody = closed({ reason: oneOf(cancelReasons), lines: Type.Optional(Units) })
export type CancelBody = Static<typeof CancelBody>

const Reason = line(limits.textCharactersMax)
export const RefundBody = closed({
  amount: Type.Optional(Money),
  lines: Type.Optional(Units),
  reason: Reason,
})
export type RefundBody = Static<typeof RefundBody>

export const ShipmentBody = closed({
  lines: Type.Optional(Units),
  location: Type.Optional(LocationCode),
  carrier: line(limits.textCharactersMax),
  tracking_number: line(limits.textCharactersMax),
})
export type ShipmentBody = Static<typeof ShipmentBody>

/** Who takes a parcel away, which is known when it leaves. */
export const DispatchBody = closed({
  carrier: ShipmentBody.properties.carrier,
  tracking_number: ShipmentBody.properties.tracking_number,
})
export type DispatchBody = Static<typeof DispatchBody>

export const PickBody = closed({ lines: Type.Optional(Units), location: LocationCode })
export type PickBody = Static<typeof PickBody>

export const ShortPickBody = closed({ location: LocationCode, lines: Units })
export type ShortPickBody = Static<typeof ShortPickBody>

export const ReturnBody = closed({ lines: Units, reason: Reason })
export type ReturnBody = Static<typeof ReturnBody>

export const ExchangeBody = closed({ return: ReturnBody, order: OrderBody })
export type ExchangeBody = Static<typeof ExchangeBody>

export const ReceiptBody = closed({
  lines: linesOf(
    closed({
      sku: Sku,
      quantity: Quantity,
      resellable: Type.Boolean({ description: 'Whether the units are on hand again.' }),
    }),
  ),
})
export type ReceiptBody = Static<typeof ReceiptBody>

/** What is left out stays as it is; null takes it away. */
export const EditBody = closed(
  {
    shipping_address: Type.Optional(nullable<Address>(Address)),
    note: Type.Optional(nullable<string>(Note)),
    tags: Type.Optional(nullable<string[]>(Tags)),
    metadata: Type.Optional(nullable<Record<string, string>>(Metadata)),
    customer: Type.Optional(closed({ email: nullable<string>(Email) })),
  },
  { minProperties: 1 },
)
export type EditBody = Static<typeof EditBody>

export const IdParams = closed({ id: AnyText })
export const PartParams = closed({ id: AnyText, part: AnyText })

const statuses = Object.keys(orderTable) as OrderStatus[]
export const OrdersQuery = closed({
  ...page,
  status: Type.Optional(oneOf(statuses)),
  customer: Type.Optional(line(limits.referenceCharactersMax, 'The customer’s `external_id`.')),
  email: Type.Optional(line(limits.emailCharactersMax)),
  reference: Type.Optional(line(limits.referenceCharactersMax)),
  created_after: Type.Optional(Time),
  created_before: Type.Optional(Time),
})
export type OrdersQuery = Static<typeof OrdersQuery>

export const HistoryQuery = closed({ limit: page.limit, cursor: page.cursor })
export type HistoryQuery = Static<typeof HistoryQuery>

export const PartsQuery = closed({ limit: page.limit, cursor: page.cursor })
export type PartsQuery = Static<typeof PartsQuery>

// Answers
const Count = Type.Integer({ minimum: 0 })
const AnswerLine = Type.Object({
  sku: Sku,
  quantity: Quantity,
  cancelled_quantity: Count,
  shipped_quantity: Count,
  unit_price: nullable(Money),
  amount: Money,
  allocations: Type.Optional(Type.Array(Type.Object({ location: LocationCode, quantity: Quantity }))),
})

const SomeUnits = Type.Object({ sku: Sku, quantity: Quantity })

const Failure = Type.Object({ code: Type.String({ description: 'The provider’s word, such as `card_declined`.' }) })
const NextAction = Type.Unsafe<object>({
  type: 'object',
  description: 'What the buyer has to do, as the provider says it.',
})

const DisputeAnswer = Type.Object(
  {
    status: oneOf(['open', 'won', 'lost']),
    amount: Money,
    reason: Type.String({ description: 'In the provider’s words.' }),
    reference: Type.String({ description: 'The provider’s own name of it, by which it is answered there.' }),
  },
  { description: 'The buyer wants his money back through his bank.' },
)
export const PaymentAnswer = Type.Object({
  id: Type.String(),
  order_id: OrderId,
  provider: Type.String(),
  status: oneOf(Object.keys(paymentTable)),
  amount: Money,
  captured_amount: Type.Optional(Money),
  error: Type.Optional(Failure),
  next_action: Type.Optional(NextAction),
  authorized_until: Type.Optional(Time),
  dispute: Type.Optional(DisputeAnswer),
  created_at: Time,
})
export const ShipmentAnswer = Type.Object({
  id: Type.String(),
  order_id: OrderId,
  status: oneOf(Object.keys(shipmentTable)),
  carrier: nullable(Type.String()),
  tracking_number: nullable(Type.String()),
  lines: Type.Array(Type.Object({ sku: Sku, quantity: Quantity, location: LocationCode })),
  created_at: Time,
  shipped_at: nullable(Time),
  delivered_at: nullable(Time),
})
export const ReturnAnswer = Type.Object({
  id: Type.String(),
  order_id: OrderId,
  status: oneOf(Object.keys(returnTable)),
  reason: Type.String(),
  lines: Type.Array(SomeUnits),
  received: Type.Array(Type.Object({ sku: Sku, quantity: Quantity, resellable: Type.Boolean() })),
  exchange_order_id: Type.Optional(OrderId),
  created_at: Time,
})
export const RefundAnswer = Type.Object({
  id: Type.String(),
  order_id: OrderId,
  payment_id: Type.String(),
  status: oneOf(['pending', 'refunded', 'failed']),
  amount: Money,
  by: Type.Optional(
    Type.Literal('provider', { description: 'Made at the provider itself, or a dispute that was lost.' }),
  ),
  reference: Type.Optional(Type.String({ description: 'The provider’s own name of it, with `by`.' })),
  error: Type.Optional(Failure),
  created_at: Time,
})

export const OrderAnswer = Type.Object({
  id: OrderId,
  reference: nullable(Type.String()),
  status: oneOf(statuses),
  cancel_reason: nullable(oneOf(['unpaid', ...cancelReasons])),
  cell: Type.String(),
  currency: Currency,
  lines: Type.Array(AnswerLine),
  amounts: Type.Object({
    items: Money,
    discount: Money,
    shipping: Money,
    tax: Money,
    total: Money,
    tax_included: Type.Boolean(),
  }),
  payment: Type.Object({
    status: oneOf(['none', ...Object.keys(paymentTable), 'partially_refunded', 'refunded']),
    provider: nullable(Type.String()),
    error: Type.Optional(Failure),
    next_action: Type.Optional(NextAction),
  }),
  fulfilment: Type.Object({ status: oneOf(['unfulfilled', 'partially_fulfilled', 'fulfilled']) }),
  shipments: Type.Array(ref('Shipment')),
  returns: Type.Array(ref('Return')),
  refunds: Type.Array(ref('Refund')),
  risk: nullable(Type.Object({ review: oneOf(['open', 'approved', 'refused']), reasons: Type.Array(Type.String()) })),
  hold_id: nullable(HoldId),
  customer: nullable(Type.Object({ email: Type.Optional(Type.String()), external_id: Type.Optional(Type.String()) })),
  shipping_address: nullable(Address),
  note: nullable(Type.String()),
  tags: Type.Array(Type.String()),
  metadata: Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } }),
  client_secret: Type.String({ description: 'Lets a storefront key read this order back.' }),
  expires_at: Type.Unsafe<string | null>({
    anyOf: [Time, { type: 'null' }],
    description: 'When its reservation ends; only while it is `pending`, and no payment is under way.',
  }),
  created_at: Time,
  placed_at: Time,
  updated_at: Time,
  version: Type.Integer({ minimum: 1 }),
  superseded_by: Type.Optional(
    Type.String({
      description: 'The order of the same idempotency key in another cell that stands: this one is its duplicate.',
    }),
  ),
  exchange_of: Type.Optional(
    Type.Object(
      { order_id: OrderId, return_id: Type.String() },
      { description: 'The order whose goods come back for it, and with which return.' },
    ),
  ),
})

const ExchangeAnswer = Type.Object({ order: ref('Order'), return: ref('Return') })

/** A CloudEvent, and where it stands. */
export const EventAnswer = Type.Object({
  specversion: Type.Literal('1.0'),
  id: Type.String(),
  source: Type.String(),
  type: Type.String(),
  time: Time,
  subject: Type.String(),
  subjectversion: Type.Integer({ minimum: 1 }),
  traceparent: Type.Optional(
    Type.String({ description: 'The span of the request that it came of, where that was traced (W3C Trace Context).' }),
  ),
  datacontenttype: Type.Literal('application/json'),
  data: Type.Object({}),
})

const Line = (answer: object) =>
  Type.Unsafe<object>({ type: 'object', required: ['status'], properties: { status: { type: 'integer' }, ...answer } })
export const BulkOrderAnswer = Line({
  order: ref('Order'),
  replayed: { type: 'boolean' },
  problem: ref('Problem'),
})

/** Named in OpenAPI. */
export const components = {
  Order: OrderAnswer,
  Payment: PaymentAnswer,
  PaymentList: listOf(ref('Payment')),
  Shipment: ShipmentAnswer,
  Return: ReturnAnswer,
  Exchange: ExchangeAnswer,
  Refund: RefundAnswer,
  RefundList: listOf(ref('Refund')),
  OrderList: listOf(ref('Order')),
  Event: EventAnswer,
  EventList: listOf(ref('Event')),
}
