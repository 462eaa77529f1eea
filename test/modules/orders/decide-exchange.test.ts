// An exchange: goods that come back and the order that is sent for them, in one command. Both are made, or neither.
import { describe, expect, test } from 'vitest'
import type { Sku, Uuid } from '../../../src/base/ids.ts'
import { decideBatch } from '../../../src/modules/orders/decide.ts'
import { footprintOf } from '../../../src/modules/orders/engine.ts'
import type { ExchangeOrder, PlaceOrder } from '../../../src/modules/orders/types.ts'
import { carryOn, freshState, orderOf, submit, traceOf } from './decide-given.ts'
import { partId, shopId } from './life-given.ts'

/** One order of 3 A, of which `shipped` have left. */
function given(shipped = 3) {
  const state = freshState()
  const placed = orderOf({ A: 3 }, { provider: 'none' })
  decideBatch(state, [submit(placed)])
  const on = { shopId, orderId: placed.orderId, ifVersion: null }
  const lines = shipped > 0 ? [{ sku: 'A' as Sku, quantity: shipped }] : []
  const ship = { kind: 'ship_order', ...on, shipmentId: partId(), lines, carrier: '', trackingNumber: '' } as const
  if (shipped > 0) decideBatch(state, [submit({ ...ship, location: null })])
  return { state: carryOn(state, 0), on }
}

const exchange = (
  on: Pick<ExchangeOrder, 'shopId' | 'orderId' | 'ifVersion'>,
  back: Record<string, number>,
  order: PlaceOrder,
): ExchangeOrder => ({
  kind: 'exchange_order',
  ...on,
  returnId: partId(),
  lines: Object.entries(back).map(([sku, quantity]) => ({ sku: sku as Sku, quantity })),
  reason: 'too small',
  order,
})

describe('an exchange', () => {
  test('announces the return and places the order, and each tells of the other', () => {
    const { state, on } = given()
    const command = exchange(on, { A: 2 }, orderOf({ B: 2 }, { provider: 'none' }))
    const [outcome] = decideBatch(state, [submit(command)])
    const { orderId, returnId } = command
    expect(outcome).toMatchObject({ ok: true, value: { kind: 'order', order: { exchangeOf: { orderId, returnId } } } })
    const [old, fresh] = [state.orders.get(orderId)!, state.orders.get(command.order.orderId)!]
    expect(fresh).toMatchObject({ status: 'confirmed', total: 10, exchangeOf: { orderId, returnId } })
    expect(old.life!.returns).toMatchObject([
      { id: returnId, status: 'requested', lines: [{ line: 0, quantity: 2 }], exchangeOrderId: fresh.id },
    ])
    const told = new Map(state.events.map(({ type, data }) => [type, data]))
    expect(told.get('order.placed')).toMatchObject({ exchange_of: told.get('return.requested')!.order_id })
    expect(told.get('return.requested')).toMatchObject({ exchange_order_id: told.get('order.placed')!.order_id })
  })

  test('takes nothing off the new order’s price, and gives back the old price when the goods have come', () => {
    const { state, on } = given()
    const command = exchange(on, { A: 1 }, orderOf({ B: 4 }))
    decideBatch(state, [submit(command)])
    const { orderId, returnId } = command
    expect(state.orders.get(command.order.orderId)).toMatchObject({ status: 'pending', total: 20 })
    expect(state.orders.get(orderId)!.life!.refunds).toEqual([])
    const lines = [{ sku: 'A' as Sku, quantity: 1, resellable: true }]
    decideBatch(state, [submit({ kind: 'receive_return', shopId, orderId, ifVersion: null, returnId, lines })])
    expect(state.orders.get(orderId)!.life!.refunds).toMatchObject([{ amount: 5, status: 'refunded' }])
    expect(state.orders.get(command.order.orderId)).toMatchObject({ status: 'pending', total: 20 })
  })

  const refusals: [string, Record<string, number>, Record<string, number>, string, string][] = [
    ['more than was shipped comes back', { A: 4 }, { B: 1 }, 'not_shipped', '/return/lines/0'],
    ['what comes back was not of the order', { B: 1 }, { B: 1 }, 'line_not_found', '/return/lines/0'],
    ['what is to be sent is not there', { A: 1 }, { B: 11 }, 'insufficient_stock', '/order/lines/0'],
    ['nobody sells what is to be sent', { A: 1 }, { X: 1 }, 'sku_not_found', '/order/lines/0'],
  ]
  test.each(refusals)('is refused whole when %s', (_, back, wanted, code, pointer) => {
    const { state, on } = given()
    const before = traceOf(state)
    const [outcome] = decideBatch(state, [submit(exchange(on, back, orderOf(wanted)))])
    expect(outcome).toMatchObject({ ok: false, code, errors: [{ pointer }] })
    expect(traceOf(state)).toEqual(before)
  })

  test('is for an order of the shop, in the version expected', () => {
    const { state, on } = given()
    const order = orderOf({ B: 1 })
    for (const [change, code] of [
      [{ orderId: partId() as Uuid }, 'not_found'],
      [{ ifVersion: 1 }, 'precondition_failed'],
    ] as const)
      expect(decideBatch(state, [submit(exchange({ ...on, ...change }, { A: 1 }, order))])).toMatchObject([{ code }])
  })

  test('under one key is made once: its retry answers the new order', () => {
    const { state, on } = given()
    const key = { hash: '0'.repeat(32), request: '1'.repeat(32) }
    const command = exchange(on, { A: 1 }, orderOf({ B: 1 }))
    decideBatch(state, [submit(command, key)])
    const again = exchange(on, { A: 1 }, orderOf({ B: 1 }))
    const [outcome] = decideBatch(state, [submit(again, key)])
    expect(outcome).toMatchObject({ replayed: true, value: { kind: 'earlier', resultId: command.order.orderId } })
    expect(state.orders.get(on.orderId)!.life!.returns).toHaveLength(1)
  })

  test('locks the old order, and all that placing the new one needs', () => {
    const { on } = given()
    const holdId = partId()
    const command = exchange(on, { A: 1 }, orderOf({ B: 1 }, { holdId, reference: 'R-1' }))
    const footprint = footprintOf([submit(command)])
    expect(footprint).toMatchObject({
      orders: [{ shopId, id: on.orderId }],
      holds: [{ shopId, id: holdId }],
      skus: [{ shopId, sku: 'B' }],
      references: [{ shopId, reference: 'R-1' }],
    })
  })
})
