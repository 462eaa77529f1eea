// Any life of two orders over the same few units, as fast-check draws and shrinks it: commands and what a provider says, in any
// order, twice, late or wrong at first. The provider keeps its own record, and what it has once been asked it will answer.
import fc from 'fast-check'
import type { LocationCode, Sku, Uuid } from '../../../src/base/ids.ts'
import { parseWireId } from '../../../src/base/ids.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import { defaultTerms, type Life } from '../../../src/modules/orders/life.ts'
import type { Command, Order, PlaceOrder, Settlement } from '../../../src/modules/orders/types.ts'
import { settlementOf } from '../../../src/modules/payments/decide.ts'
import type { Answer, OperationKind } from '../../../src/modules/payments/types.ts'
import type { EngineEvent } from '../../../src/modules/stock/decide.ts'
import { orderOf } from './decide-given.ts'
import { shopId } from './life-given.ts'

const dayMs = 24 * 60 * 60 * 1000
const sku = fc.constantFrom('A', 'B') as fc.Arbitrary<Sku>
const lines = fc.array(fc.record({ sku, quantity: fc.integer({ min: 1, max: 3 }) }), { minLength: 1, maxLength: 2 })
const oneUnit = fc.array(fc.record({ sku, quantity: fc.constantFrom(1, 1, 2) }), { minLength: 1, maxLength: 1 })
const someLines = fc.option(lines, { freq: 2 })
const location = fc.constantFrom('main', 'east') as fc.Arbitrary<LocationCode>
const which = fc.nat(1)
const nth = fc.nat(3)

/** Amounts that do not divide by the quantities, so that rounding shows. */
const placed = fc.record({
  lines: fc.array(
    fc.record({ sku, quantity: fc.integer({ min: 1, max: 3 }), amount: fc.integer({ min: 0, max: 50 }) }),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
  pays: fc.constantFrom('later' as const, 'card' as const, 'card' as const, 'elsewhere' as const, 'elsewhere' as const),
  captureRule: fc.constantFrom('now' as const, 'at_shipment' as const),
  review: fc.constantFrom(null, null, null, ['amount']),
  atCaptureDeadline: fc.constantFrom('capture' as const, 'capture' as const, 'cancel' as const),
})

/** How a provider answers: `lies` says failed of what it does. */
const outcome = fc.oneof(
  { weight: 6, arbitrary: fc.constant('does' as const) },
  { weight: 3, arbitrary: fc.constantFrom('fails' as const, 'lies' as const, 'acts' as const) },
)

const asked = fc.oneof(
  fc.record({ ask: fc.constant('pay' as const) }),
  fc.record({ ask: fc.constant('capture' as const) }),
  fc.record({ ask: fc.constant('cancel' as const), lines: someLines }),
  fc.record({
    ask: fc.constant('refund' as const),
    amount: fc.option(fc.integer({ min: 0, max: 60 })),
    lines: someLines,
  }),
  fc.record({
    ask: fc.constant('ship' as const),
    lines: someLines,
    location: fc.constantFrom(null, null, 'main', 'east') as fc.Arbitrary<LocationCode | null>,
  }),
  fc.record({ ask: fc.constant('ship' as const), lines: fc.constant(null), location: fc.constant(null) }),
  fc.record({ ask: fc.constant('pick' as const), lines: someLines, location }),
  fc.record({ ask: fc.constantFrom('pack' as const, 'dispatch' as const, 'give up' as const), nth }),
  fc.record({ ask: fc.constantFrom('pack' as const, 'dispatch' as const), nth: fc.constant(0) }),
  fc.record({ ask: fc.constant('deliver' as const), nth }),
  fc.record({ ask: fc.constant('short pick' as const), lines, location }),
  fc.record({ ask: fc.constant('return' as const), lines: oneUnit }),
  fc.record({
    ask: fc.constant('receive' as const),
    nth,
    lines: fc.option(oneUnit, { freq: 2 }),
    resellable: fc.boolean(),
  }),
  fc.record({ ask: fc.constant('review' as const), approve: fc.boolean() }),
)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('command' as const), which, asked }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      nth,
      outcome,
      atOnce: fc.constantFrom(true, true, false),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), nth: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('truth' as const), nth }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lapse' as const), nth }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('take back' as const), nth }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), nth, outcome }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(1, 1, 100_000, 950_000, 6 * dayMs, 8 * dayMs),
    }),
  },
)
type Drawn<A> = A extends fc.Arbitrary<infer T> ? T : never
export type Step = Drawn<typeof step>
export type Asked = Drawn<typeof asked>
export const anyLife = fc.record({
  orders: fc.tuple(placed, placed),
  steps: fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
})

let ids = 0
/** Far enough apart for the ids that the decisions make from them. */
const newId = (): Uuid => `00000000-0000-7000-b000-${(++ids * 0x1000).toString(16).padStart(12, '0')}` as Uuid

const newPayment = () => ({ id: newId(), provider: 'test', method: 'tok_ok' })

export function placing(order: Drawn<typeof placed>): PlaceOrder {
  return orderOf(
    {},
    {
      orderId: newId(),
      lines: order.lines.map((line) => ({ ...line, unitPrice: null, amount: line.amount as MinorUnits })),
      provider: order.pays === 'elsewhere' ? 'none' : null,
      payment: order.pays === 'card' ? newPayment() : null,
      terms: { ...defaultTerms, captureRule: order.captureRule, atCaptureDeadline: order.atCaptureDeadline },
      review: order.review && [...order.review],
    },
  )
}

type Parts = Pick<Life, 'shipments' | 'returns'>

/** The command on an order, or null when it has no such part. */
export function commandOf(of: Asked, order: Order, { shipments, returns }: Parts): Command | null {
  const orderId = order.id
  const on = { shopId, orderId, ifVersion: null }
  const nthOf = (parts: readonly { id: Uuid }[], at: number) => parts[at % Math.max(1, parts.length)]?.id
  switch (of.ask) {
    case 'pay':
      return { kind: 'start_payment', ...on, payment: newPayment() }
    case 'capture':
      return { kind: 'capture_order', ...on }
    case 'cancel':
      return { kind: 'cancel_order', ...on, reason: 'buyer', lines: of.lines }
    case 'refund':
      return {
        kind: 'refund_order',
        ...on,
        refundId: newId(),
        amount: (of.lines ? null : of.amount) as MinorUnits | null,
        lines: of.lines,
        reason: 'goodwill',
      }
    case 'ship':
      return {
        kind: 'ship_order',
        ...on,
        shipmentId: newId(),
        lines: of.lines,
        location: of.location,
        carrier: 'dhl',
        trackingNumber: 'T',
      }
    case 'pick':
      return { kind: 'pick_order', ...on, shipmentId: newId(), lines: of.lines, location: of.location }
    case 'pack':
    case 'dispatch':
    case 'give up':
    case 'deliver': {
      const shipmentId = nthOf(shipments, of.nth)
      if (!shipmentId) return null
      if (of.ask === 'pack') return { kind: 'pack_shipment', ...on, shipmentId }
      if (of.ask === 'dispatch')
        return { kind: 'ship_shipment', ...on, shipmentId, carrier: 'dhl', trackingNumber: 'T' }
      return { kind: of.ask === 'deliver' ? 'deliver_shipment' : 'cancel_shipment', ...on, shipmentId }
    }
    case 'short pick':
      return { kind: 'short_pick', ...on, location: of.location, lines: of.lines }
    case 'return':
      return { kind: 'request_return', ...on, returnId: newId(), lines: of.lines, reason: 'too small' }
    case 'receive': {
      const back = returns[of.nth % Math.max(1, returns.length)]
      if (!back) return null
      const all = back.lines.map(({ line, quantity }) => ({ sku: order.lines[line]!.sku, quantity }))
      const lines = (of.lines ?? all).map((line) => ({ ...line, resellable: of.resellable }))
      return { kind: 'receive_return', ...on, returnId: back.id, lines }
    }
    case 'review':
      return { kind: 'review_order', ...on, approve: of.approve }
  }
}

type Charge = {
  orderId: Uuid
  amount: number
  status: 'none' | 'acting' | 'authorized' | 'captured' | 'failed' | 'voided'
  captured: number
  refunds: Map<Uuid, number>
}
type Asking = {
  kind: OperationKind
  orderId: Uuid
  paymentId: Uuid
  id: Uuid
  amount: number
  capture: 'now' | 'later'
}
export type Said = { orderId: Uuid; settlement: Settlement }

const kinds: Record<string, OperationKind> = {
  'payment.requested': 'authorize',
  'payment.capture_requested': 'capture',
  'payment.void_requested': 'void',
  'payment.refund_requested': 'refund',
}

/** A provider with its own record. Answers may come in any order; what an order asks of it is in the order's events. */
export function createProvider() {
  const charges = new Map<Uuid, Charge>()
  const open: Asking[] = []
  const said: Said[] = []
  /** Refunds that were made, and those of them that came back. */
  const made: Asking[] = []
  const takenBack: Asking[] = []

  function hear(events: readonly EngineEvent[]): void {
    for (const { type, subject, data } of events) {
      const kind = kinds[type]
      if (!kind) continue
      const orderId = parseWireId(subject)!.uuid
      const paymentId = parseWireId(String(data.payment_id))!.uuid
      const id = kind === 'refund' ? parseWireId(String(data.refund_id))!.uuid : paymentId
      const capture = data.capture === 'later' ? 'later' : 'now'
      open.push({ kind, orderId, paymentId, id, amount: Number(data.amount), capture })
      if (kind === 'authorize')
        charges.set(paymentId, {
          orderId,
          amount: Number(data.amount),
          status: 'none',
          captured: 0,
          refunds: new Map(),
        })
    }
  }

  function say({ kind, orderId, paymentId, id }: Asking, answer: Answer): Said | null {
    const settlement = settlementOf({ kind, paymentId, id } as Parameters<typeof settlementOf>[0], answer)
    if (!settlement) return null
    const one = { orderId, settlement }
    said.push(one)
    return one
  }

  /** Answers the nth of what is open; null when there is none, or nothing to tell. */
  function answer(nthOpen: number, how: 'does' | 'fails' | 'lies' | 'acts'): Said | null {
    const [asking] = open.splice(nthOpen % Math.max(1, open.length), 1)
    if (!asking) return null
    const charge = charges.get(asking.paymentId)!
    const fails = { says: 'failed', error: 'card_declined' } as const
    switch (asking.kind) {
      case 'authorize':
        if (charge.status === 'none' || charge.status === 'acting') {
          if (how === 'acts' && charge.status === 'none') {
            charge.status = 'acting'
            open.push(asking)
            return say(asking, { says: 'requires_action', reference: 'ch', nextAction: {} })
          }
          charge.status = how === 'fails' ? 'failed' : asking.capture === 'now' ? 'captured' : 'authorized'
          if (charge.status === 'captured') charge.captured = charge.amount
        }
        return say(asking, how === 'lies' ? fails : truthOf(charge))
      case 'capture':
        if (charge.status === 'authorized' && how !== 'fails') {
          charge.status = 'captured'
          charge.captured = asking.amount
        } else if (charge.status === 'authorized') charge.status = 'failed' // declined for good
        return say(asking, how === 'lies' ? fails : truthOf(charge))
      case 'void':
        if (charge.status === 'authorized' || charge.status === 'acting') charge.status = 'voided'
        return say(asking, truthOf(charge))
      case 'refund':
        charge.refunds.set(asking.id, asking.amount)
        forget(asking.id)
        made.push(asking)
        return say(asking, { says: 'refunded', reference: 'ch', amount: asking.amount as MinorUnits })
    }
  }

  /** What was said of a refund is not said any more: whoever asks hears how it is now. */
  function forget(refundId: Uuid): void {
    for (let at = said.length - 1; at >= 0; at--) if (said[at]!.settlement.id === refundId) said.splice(at, 1)
  }

  /** A refund that was made comes back, weeks later. */
  function takeBack(nthMade: number): Said | null {
    const [asking] = made.splice(nthMade % Math.max(1, made.length), 1)
    if (!asking) return null
    charges.get(asking.paymentId)!.refunds.delete(asking.id)
    forget(asking.id)
    takenBack.push(asking)
    return say(asking, { says: 'failed', error: 'closed_account' })
  }

  /** Somebody makes the refunds again that came back. */
  const makeAgain = (): void => void open.push(...takenBack.splice(0))

  /** An authorization runs out; nobody is told. */
  function lapse(nthCharge: number): void {
    const standing = [...charges.values()].filter(({ status }) => status === 'authorized')
    const charge = standing[nthCharge % Math.max(1, standing.length)]
    if (charge) charge.status = 'voided'
  }

  /** Somebody drops what is open, which may have been done. */
  function drop(nthOpen: number, how: 'does' | 'fails' | 'lies' | 'acts'): Said | null {
    const asking = open[nthOpen % Math.max(1, open.length)]
    if (!asking || asking.kind === 'refund') return null
    answer(nthOpen, how)
    const again = open.lastIndexOf(asking)
    if (again >= 0) open.splice(again, 1)
    const { kind: operation, orderId, paymentId: id } = asking
    return { orderId, settlement: { of: 'payment', id, says: 'given_up', operation } }
  }

  /** What reconciliation brings: the record as it is. */
  function truth(nthCharge: number): Said | null {
    const [paymentId, charge] = [...charges][nthCharge % Math.max(1, charges.size)] ?? []
    if (!paymentId || !charge || charge.status === 'none' || charge.status === 'acting') return null
    return say({ kind: 'authorize', orderId: charge.orderId, paymentId, id: paymentId } as Asking, truthOf(charge))
  }

  return { charges, open, said, hear, answer, truth, takeBack, makeAgain, lapse, drop }
}

function truthOf({ status, amount, captured }: Charge): Answer {
  switch (status) {
    case 'authorized':
      return { says: 'authorized', reference: 'ch', amount: amount as MinorUnits }
    case 'captured':
      return { says: 'captured', reference: 'ch', amount: captured as MinorUnits }
    case 'voided':
      return { says: 'voided', reference: 'ch', amount: 0 as MinorUnits }
    case 'acting':
      return { says: 'requires_action', reference: 'ch', nextAction: {} }
    default:
      return { says: 'failed', error: 'card_declined' }
  }
}
