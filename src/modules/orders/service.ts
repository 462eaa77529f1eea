// Between the wire and the engine: a body becomes a command or the refusal of a rule that no schema can say, an order
// becomes its answer. Pure, but for nothing: ids, keys and times are handed in.
import { type CellName, type IdPrefix, parseWireId, type Sku, timeOfUuid, toWireId, type Uuid } from '../../base/ids.ts'
import { quoted } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import { amountMax, type Currency, isCurrency, type MinorUnits } from '../../base/money.ts'
import { refusedCountry, refusedField } from '../../base/problem.ts'
import { type Refused, refused } from '../../base/result.ts'
import { addMs, type Instant, parseRfc3339, toRfc3339 } from '../../base/time.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import type { KeyHashes } from '../../runtime/idempotency.ts'
import type { Span } from '../../runtime/tracing.ts'
import type { Principal } from '../shops/types.ts'
import type { RequestedLine } from '../stock/types.ts'
import { shippedUnits, unitsOpen } from './batch-state.ts'
import type { Life, Terms } from './life.ts'
import { failureOf, nextActionOf, partsAnswer } from './life-answers.ts'
import { lifeOf, paymentStatusOf } from './money.ts'
import { hasShipped } from './parcels.ts'
import type { BulkOrderBody, EditBody, OrderBody, RefundBody } from './schemas.ts'
import type {
  CommandOutcome,
  EditOrder,
  NewPayment,
  OnOrder,
  Order,
  PlaceOrder,
  RefundOrder,
  Settle,
  Submission,
} from './types.ts'

/** The engine behind its queue, as routes use it. */
export type Commands = {
  /** Rejects with Overloaded or DatabaseUnavailable; everything else is an outcome. */
  submit(submission: Submission): Promise<CommandOutcome>
  isFull(): boolean
  /** Streams wait from here on, and leave the rest of the queue to others. */
  isHalfFull(): boolean
  /** Resolves when it is less than half full. */
  whenRoom(): Promise<void>
  retryAfterSeconds(): number
}

/** Undefined for what is no order of this cell, or no payment, shipment and so on where another prefix is given. */
export function orderIdOf(text: string, cell: CellName, prefix: IdPrefix = 'ord'): Uuid | undefined {
  const id = parseWireId(text)
  return id && id.prefix === prefix && id.cell === cell ? id.uuid : undefined
}

/** What the shop's payment providers understand: 'none' is not among them. */
export type Providers = ReadonlyMap<string, { accepts(method: string): boolean }>

type Context = {
  principal: Principal
  cell: CellName
  orderId: Uuid
  /** Of the attempt to pay, if there is one. */
  paymentId: Uuid
  providers: Providers
  terms: Terms
  now: Instant
}

/** Refused by every rule that neither the schema nor the state of stock decides. */
export function placeOrderOf(body: OrderBody | BulkOrderBody, context: Context): PlaceOrder | Refused {
  const { principal, cell } = context
  if (principal.kind === 'pk') return refused('no_catalogue_price')
  if (!isCurrency(body.currency)) return refusedField('currency_unknown', '/currency')
  const refusal = refusedLater(body) ?? refusedImport(body, context)
  if (refusal) return refusal
  const lines = linesOf(body.lines, body.currency)
  if (!Array.isArray(lines)) return lines
  let holdId: Uuid | null = null
  if (body.hold_id !== undefined) {
    const hold = parseWireId(body.hold_id)
    if (!hold || hold.cell !== cell) return refusedField('hold_not_found', '/hold_id')
    holdId = hold.uuid
  }
  const payment = body.payment ? paymentOf(body.payment, context) : null
  if (payment && 'ok' in payment) return payment
  const { customer, shipping_address: address = null, note = null, tags, metadata } = body
  const email = customer?.email ?? null
  return {
    kind: 'place_order',
    shopId: principal.shopId,
    orderId: context.orderId,
    currency: body.currency,
    lines,
    holdId,
    customer: customer?.external_id ?? null,
    reference: body.reference ?? null,
    provider: body.payment?.provider === 'none' ? 'none' : null,
    payment,
    terms: context.terms,
    review: null,
    placedAt: body.placed_at === undefined ? null : parseRfc3339(body.placed_at)!,
    personal: email === null && address === null && note === null ? null : { email, address, note },
    annotations: tags || metadata ? { tags: tags ?? [], metadata: metadata ?? {} } : null,
  }
}

/** Fields and values that a later version brings. */
function refusedLater({ customer }: OrderBody): Refused | undefined {
  if (customer?.id !== undefined) return refusedField('not_available', '/customer/id')
  return undefined
}

/** The attempt that a body asks for; null for what is paid elsewhere. */
export function paymentOf(
  { provider, method = '' }: { provider: string; method?: string },
  { providers, paymentId }: Pick<Context, 'providers' | 'paymentId'>,
  pointer = '/payment',
): NewPayment | null | Refused {
  if (provider === 'none') return method === '' ? null : refusedField('payment_method_unknown', `${pointer}/method`)
  const known = providers.get(provider)
  if (!known) return refusedField('provider_unknown', `${pointer}/provider`)
  if (!known.accepts(method)) return refusedField('payment_method_unknown', `${pointer}/method`)
  return { id: paymentId, provider, method }
}

/** Times and amounts of one's own are for imports; a country must exist. */
function refusedImport(body: OrderBody, { principal, now }: Context): Refused | undefined {
  if (body.placed_at !== undefined) {
    if (!principal.scopes.has('import')) return refused('forbidden', 'placed_at needs a key with the scope import.')
    if (parseRfc3339(body.placed_at)! > addMs(now, limits.clockSkewMsMax))
      return refusedField('time_in_future', '/placed_at')
  }
  if (body.lines.some((line) => line.amount !== undefined) && !principal.scopes.has('import'))
    return refused('forbidden', 'amount needs a key with the scope import.')
  return body.shipping_address && refusedCountry(body.shipping_address.country, '/shipping_address/country')
}

function linesOf(lines: OrderBody['lines'], currency: Currency): PlaceOrder['lines'] | Refused {
  const priced: PlaceOrder['lines'] = []
  for (let index = 0; index < lines.length; index++) {
    const { sku, quantity, unit_price: unitPrice, amount } = lines[index]!
    if (unitPrice === undefined && amount === undefined) return refusedField('price_required', `/lines/${index}`)
    if (unitPrice && unitPrice.currency !== currency)
      return refusedField('currency_mismatch', `/lines/${index}/unit_price`)
    if (amount && amount.currency !== currency) return refusedField('currency_mismatch', `/lines/${index}/amount`)
    const sum = unitPrice ? unitPrice.amount * quantity : amount!.amount
    if (sum > amountMax) return refusedField('amount_too_large', `/lines/${index}`)
    if (amount && amount.amount !== sum) return refusedField('amount_mismatch', `/lines/${index}/amount`)
    priced.push({
      sku: sku as Sku,
      quantity,
      unitPrice: unitPrice ? (unitPrice.amount as MinorUnits) : null,
      amount: sum as MinorUnits,
    })
  }
  return priced
}

export const requestedOf = (lines: readonly { sku: string; quantity: number }[]): RequestedLine[] =>
  lines.map(({ sku, quantity }) => ({ sku: sku as Sku, quantity }))

/** `currency` is the order's, where an amount is given and there is such an order. */
export function refundOrderOf(
  { amount, lines, reason }: RefundBody,
  currency: string | undefined,
  on: OnOrder & { refundId: Uuid },
): RefundOrder | Refused {
  if (amount && lines) return refused('amount_and_lines')
  if (amount && currency !== undefined && amount.currency !== currency)
    return refusedField('currency_mismatch', '/amount/currency')
  return {
    kind: 'refund_order',
    ...on,
    amount: amount ? (amount.amount as MinorUnits) : null,
    lines: lines ? requestedOf(lines) : null,
    reason,
  }
}

export function editOrderOf(body: EditBody, on: OnOrder): EditOrder | Refused {
  const { shipping_address: address, customer, note, tags, metadata } = body
  const unknown = address && refusedCountry(address.country, '/shipping_address/country')
  if (unknown) return unknown
  return {
    kind: 'edit_order',
    ...on,
    ...(address === undefined ? {} : { address }),
    ...(customer === undefined ? {} : { email: customer.email }),
    ...(note === undefined ? {} : { note }),
    ...(tags === undefined ? {} : { tags: tags ?? [] }),
    ...(metadata === undefined ? {} : { metadata: metadata ?? {} }),
  }
}

/** `span`: of the request that it comes from, where that is sampled. */
export const submissionOf = (
  command: Submission['command'],
  key: KeyHashes | null,
  now: Instant,
  span: Span | null = null,
): Submission => ({ command, key, deadline: addMs(now, limits.commandDeadlineMs), span })

/** How an order is told what its provider says; it needs no key, since it counts once however often it is said. */
export const settlingThrough =
  (commands: Pick<Commands, 'submit'>, now: () => Instant) =>
  (command: Settle): Promise<CommandOutcome> =>
    commands.submit(submissionOf(command, null, now()))

/** For whom an answer is written: storefronts do not learn where units lie. */
export type Reader = { cell: CellName; principal: Pick<Principal, 'kind' | 'sign'> }

/** The order as text. Written by hand because every accepted order is answered with it: a third of JSON.stringify's time. */
export function orderJson(order: Order, { cell, principal }: Reader): string {
  const id = toWireId('ord', cell, order.id)
  const currency = quoted(order.currency)
  const createdAt = timeOfUuid(order.id)
  const created = toRfc3339(createdAt)
  const timeText = (at: Instant): string => (at === createdAt ? created : toRfc3339(at))
  let lines = ''
  for (let index = 0; index < order.lines.length; index++) {
    if (index > 0) lines += ','
    lines += lineJson(order, index, currency, principal.kind === 'sk')
  }
  const zero = moneyJson(0, currency)
  const total = moneyJson(order.total, currency)
  const { personal, annotations } = order
  return `{"id":"${id}","reference":${textJson(order.reference)},"status":"${order.status}","cancel_reason":${textJson(
    order.cancelReason,
  )},"cell":"${cell}","currency":${currency},"lines":[${lines}],"amounts":{"items":${total},"discount":${zero},"shipping":${zero},"tax":${zero},"total":${total},"tax_included":false},"payment":${paymentJson(order)},${order.life === null ? unfulfilledJson : partsJson(order, order.life, cell)},"hold_id":${
    order.holdId === null ? 'null' : `"${toWireId('hld', cell, order.holdId)}"`
  },"customer":${customerJson(order)},"shipping_address":${
    personal?.address ? JSON.stringify(personal.address) : 'null'
  },"note":${textJson(personal?.note ?? null)},"tags":${annotations ? JSON.stringify(annotations.tags) : '[]'},"metadata":${
    annotations ? JSON.stringify(annotations.metadata) : '{}'
  },"client_secret":"${principal.sign(id)}","expires_at":${
    order.status !== 'pending' || order.expiresAt === null ? 'null' : `"${timeText(order.expiresAt)}"`
  },"created_at":"${created}","placed_at":"${timeText(order.placedAt)}","updated_at":"${timeText(
    order.updatedAt,
  )}","version":${order.version}${exchangeJson(order, cell)}${supersededJson(order)}}`
}

/** Told of those few that are sent in exchange for another's goods. */
const exchangeJson = ({ exchangeOf }: Order, cell: CellName): string =>
  exchangeOf
    ? `,"exchange_of":{"order_id":"${toWireId('ord', cell, exchangeOf.orderId)}","return_id":"${toWireId('ret', cell, exchangeOf.returnId)}"}`
    : ''

const supersededJson = ({ life }: Order): string =>
  life?.supersededBy === undefined ? '' : `,"superseded_by":${quoted(life.supersededBy)}`

const textJson = (text: string | null): string => (text === null ? 'null' : quoted(text))
const moneyJson = (amount: number, currency: string): string => `{"amount":${amount},"currency":${currency}}`

const unfulfilledJson = '"fulfilment":{"status":"unfulfilled"},"shipments":[],"returns":[],"refunds":[],"risk":null'

function lineJson(order: Order, index: number, currency: string, withAllocations: boolean): string {
  const line = order.lines[index]!
  const cancelled = order.cancelled?.[index] ?? 0
  const unitPrice = line.unitPrice === null ? 'null' : moneyJson(line.unitPrice, currency)
  const shipped = order.life === null ? 0 : shippedUnits(order, index)
  const text = `{"sku":${quoted(line.sku)},"quantity":${line.quantity},"cancelled_quantity":${cancelled},"shipped_quantity":${shipped},"unit_price":${unitPrice},"amount":${moneyJson(line.amount, currency)}`
  if (!withAllocations) return `${text}}`
  let allocations = ''
  for (const { location, quantity } of line.allocations) {
    allocations += `${allocations === '' ? '' : ','}{"location":${quoted(location)},"quantity":${quantity}}`
  }
  return `${text},"allocations":[${allocations}]}`
}

function customerJson({ customer, personal }: Order): string {
  const email = personal?.email ?? null
  if (customer === null && email === null) return 'null'
  return JSON.stringify({ email: email ?? undefined, external_id: customer ?? undefined })
}

function paymentJson(order: Order): string {
  if (order.life === null)
    return order.provider === null ? '{"status":"none","provider":null}' : '{"status":"captured","provider":"none"}'
  const last = lifeOf(order).payments.at(-1)
  const why = last ? { ...failureOf(last), ...nextActionOf(last) } : {}
  return JSON.stringify({ status: paymentStatusOf(order), provider: last?.provider ?? null, ...why })
}

/** What has happened to the order's goods and money. */
const partsJson = (order: Order, life: Life, cell: CellName): string =>
  JSON.stringify({
    fulfilment: { status: fulfilmentStatusOf(order) },
    ...partsAnswer({ order, cell }, life),
  }).slice(1, -1)

function fulfilmentStatusOf(order: Order): 'unfulfilled' | 'partially_fulfilled' | 'fulfilled' {
  if (order.life === null || !hasShipped(order.life)) return 'unfulfilled'
  return unitsOpen(order).every((units) => units === 0) ? 'fulfilled' : 'partially_fulfilled'
}

/** CloudEvents 1.0 with the extension Distributed Tracing; `data` is JSON text already. */
export function eventJson(event: LogEvent, cell: CellName): string {
  const traced = event.traceparent ? `"traceparent":"${event.traceparent}",` : ''
  return `{"specversion":"1.0","id":"${event.eventId}","source":"/cells/${cell}","type":${quoted(event.type)},"time":"${toRfc3339(
    event.at,
  )}","subject":${quoted(event.subject)},"subjectversion":${event.subjectVersion},${traced}"datacontenttype":"application/json","data":${event.data}}`
}
