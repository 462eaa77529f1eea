// Given: one order and its life, told in a few words. Every command runs as a batch of its own on what was written before it;
// a refusal is checked to have left nothing behind.
import { expect } from 'vitest'
import type { LocationCode, ShopId, Sku, Uuid } from '../../../src/base/ids.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import { decideBatch } from '../../../src/modules/orders/decide.ts'
import { defaultTerms, type Payment } from '../../../src/modules/orders/life.ts'
import { heldOf, lifeOf } from '../../../src/modules/orders/money.ts'
import type { PaymentStatus } from '../../../src/modules/orders/states.ts'
import type { Command, Order, PlaceOrder, Settlement } from '../../../src/modules/orders/types.ts'
import type { EngineEvent } from '../../../src/modules/stock/decide.ts'
import { carryOn, freshState, orderOf, submit, traceOf } from './decide-given.ts'

export const shopId = 1 as ShopId
type Units = Record<string, number>

/** Of payments, shipments and returns; far enough apart for the ids that the decisions make from them. */
let ids = 0
export const partId = (): Uuid => `00000000-0000-7000-a000-${(++ids * 0x1000).toString(16).padStart(12, '0')}` as Uuid

const linesOf = (units: Units) => Object.entries(units).map(([sku, quantity]) => ({ sku: sku as Sku, quantity }))

export const card = () => ({ payment: { id: partId(), provider: 'test', method: 'tok_ok' } })
export const atShipment = { terms: { ...defaultTerms, captureRule: 'at_shipment' } } as const

export function openScene(units: Units, more: Partial<PlaceOrder> = {}) {
  let state = freshState()
  const placed = orderOf(units, more)
  const orderId = placed.orderId
  const on = { shopId, orderId, ifVersion: null }
  const events: EngineEvent[] = []

  function decide(command: Command, elapsedMs = 0) {
    state = carryOn(state, elapsedMs)
    const [outcome] = decideBatch(state, [submit(command)])
    events.push(...state.events)
    return outcome!
  }
  function accept(command: Command, elapsedMs = 0): void {
    const outcome = decide(command, elapsedMs)
    expect(outcome.ok, `${command.kind}: ${'code' in outcome ? outcome.code : ''}`).toBe(true)
  }
  /** The code; nothing has changed. */
  function refusal(command: Command): string {
    state = carryOn(state, 0)
    const before = traceOf(state)
    const [outcome] = decideBatch(state, [submit(command)])
    expect(traceOf(state)).toEqual(before)
    return outcome!.ok ? 'accepted' : outcome!.code
  }

  const order = (): Order => state.orders.get(orderId)!
  const life = () => lifeOf(order())
  const payment = (at = -1): Payment => life().payments.at(at)!

  const commands = {
    pay: () => ({ kind: 'start_payment', ...on, ...card() }) as const,
    says: (says: PaymentStatus, at = -1) =>
      ({ kind: 'settle', shopId, orderId, settlement: saying(says, payment(at)) }) as const,
    stopAsking: (operation: 'authorize' | 'capture' | 'void', at = -1) => {
      const settlement = { of: 'payment', id: payment(at).id, says: 'given_up', operation } as const
      return { kind: 'settle', shopId, orderId, settlement } as const
    },
    refundIs: (says: 'refunded' | 'failed', at = -1) => {
      const of = { of: 'refund', id: life().refunds.at(at)!.id } as const
      const settlement = says === 'failed' ? { ...of, says, error: 'closed_account' } : { ...of, says }
      return { kind: 'settle', shopId, orderId, settlement } as const
    },
    capture: () => ({ kind: 'capture_order', ...on }) as const,
    refund: (amount: number | null, of: Units | null = null) =>
      ({
        kind: 'refund_order',
        ...on,
        refundId: partId(),
        amount: amount as MinorUnits | null,
        lines: of && linesOf(of),
        reason: 'goodwill',
      }) as const,
    ship: (of: Units | null = null, location: string | null = null) =>
      ({
        kind: 'ship_order',
        ...on,
        shipmentId: partId(),
        lines: of && linesOf(of),
        location: location as LocationCode | null,
        carrier: 'dhl',
        trackingNumber: 'T-1',
      }) as const,
    pick: (of: Units | null = null, location = 'main') =>
      ({
        kind: 'pick_order',
        ...on,
        shipmentId: partId(),
        lines: of && linesOf(of),
        location: location as LocationCode,
      }) as const,
    pack: (id?: Uuid) => ({ kind: 'pack_shipment', ...on, shipmentId: id ?? life().shipments.at(-1)!.id }) as const,
    dispatch: (id?: Uuid) =>
      ({
        kind: 'ship_shipment',
        ...on,
        shipmentId: id ?? life().shipments.at(-1)!.id,
        carrier: 'dhl',
        trackingNumber: 'T-2',
      }) as const,
    giveUp: (id?: Uuid) => ({ kind: 'cancel_shipment', ...on, shipmentId: id ?? life().shipments.at(-1)!.id }) as const,
    deliver: (id?: Uuid) =>
      ({ kind: 'deliver_shipment', ...on, shipmentId: id ?? life().shipments.at(-1)!.id }) as const,
    shortPick: (of: Units, location = 'main') =>
      ({ kind: 'short_pick', ...on, location: location as LocationCode, lines: linesOf(of) }) as const,
    askReturn: (of: Units) =>
      ({ kind: 'request_return', ...on, returnId: partId(), lines: linesOf(of), reason: 'too small' }) as const,
    receive: (of: Units, resellable = true, id?: Uuid) =>
      ({
        kind: 'receive_return',
        ...on,
        returnId: id ?? life().returns.at(-1)!.id,
        lines: linesOf(of).map((line) => ({ ...line, resellable })),
      }) as const,
    review: (approve: boolean) => ({ kind: 'review_order', ...on, approve }) as const,
    address: (country: string) => ({ kind: 'edit_order', ...on, address: { country } }) as const,
    cancel: (of: Units | null = null) =>
      ({ kind: 'cancel_order', ...on, reason: 'buyer', lines: of && linesOf(of) }) as const,
  }

  accept(placed)
  return {
    ...commands,
    accept,
    refusal,
    order,
    life,
    payment,
    held: () => heldOf(life()),
    told: () => events.map(({ type }) => type),
    eventsOf: (type: string) => events.filter((event) => event.type === type).map(({ data }) => data),
    row: (id: number) => {
      const { onHand, reserved, committed, shipped } = state.rowById.get(id as never)!
      return { onHand, reserved, committed, shipped }
    },
    /** Somebody counts what lies at a location. */
    count: (sku: string, location: string, set: number) =>
      accept({
        kind: 'adjust_stock',
        shopId,
        adjustments: [
          { sku: sku as Sku, location: location as LocationCode, change: { set, asOf: null }, reason: 'counted' },
        ],
      }),
    /** Time passes, and the sweeper looks. */
    wait: (ms: number) => decide({ kind: 'expire_due', limit: 10 }, ms),
  }
}

export type Scene = ReturnType<typeof openScene>

function saying(says: PaymentStatus, { id, amount }: Payment): Settlement {
  const of = { of: 'payment', id } as const
  switch (says) {
    case 'authorized':
      return { ...of, says, reference: 'ch_1' }
    case 'captured':
      return { ...of, says, reference: 'ch_1', amount }
    case 'requires_action':
      return { ...of, says, reference: 'ch_1', nextAction: { url: 'https://bank.example' } }
    case 'failed':
      return { ...of, says, error: 'card_declined' }
    default:
      return { ...of, says: 'voided' }
  }
}
