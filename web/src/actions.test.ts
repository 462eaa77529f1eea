// What may be done to an order, by its state and by the scopes of the key.
import type { Order, Shipment } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { mayReceive, type OrderAction, orderActions, type ShipmentAction, shipmentActions } from './actions.ts'

type Given = {
  status: Order['status']
  payment: Order['payment']['status']
  shipped?: number
  cancelled?: number
  returned?: number
}

const order = ({ status, payment, shipped = 0, cancelled = 0, returned = 0 }: Given): Order =>
  ({
    id: 'ord_eu1_x',
    status,
    payment: { status: payment },
    lines: [{ sku: 'A', quantity: 3, shipped_quantity: shipped, cancelled_quantity: cancelled }],
    returns: returned > 0 ? [{ lines: [{ sku: 'A', quantity: returned }] }] : [],
  }) as unknown as Order

const all = new Set(['orders:read', 'orders:write'])

describe('an order', () => {
  test.each<[string, Given, OrderAction[]]>([
    ['that waits for its money', { status: 'pending', payment: 'pending' }, ['cancel']],
    ['in review', { status: 'in_review', payment: 'authorized' }, ['approve', 'refuse', 'capture', 'cancel']],
    ['that is authorized', { status: 'confirmed', payment: 'authorized' }, ['capture', 'ship', 'cancel']],
    ['that is paid', { status: 'confirmed', payment: 'captured' }, ['ship', 'refund', 'cancel']],
    [
      'that left in part',
      { status: 'confirmed', payment: 'captured', shipped: 1 },
      ['ship', 'return', 'refund', 'cancel'],
    ],
    ['that left whole', { status: 'completed', payment: 'captured', shipped: 3 }, ['return', 'refund']],
    ['all of which comes back', { status: 'completed', payment: 'captured', shipped: 3, returned: 3 }, ['refund']],
    [
      'that was refunded in part',
      { status: 'completed', payment: 'partially_refunded', shipped: 3 },
      ['return', 'refund'],
    ],
    ['that is cancelled', { status: 'cancelled', payment: 'refunded', cancelled: 3 }, []],
  ])('%s', (_, given, expected) => {
    expect(orderActions(order(given), all)).toEqual(expected)
  })

  test('may only be looked at with a key that may not write orders', () => {
    expect(orderActions(order({ status: 'in_review', payment: 'captured' }), new Set(['orders:read']))).toEqual([])
  })
})

test.each<[Shipment['status'], ShipmentAction[]]>([
  ['picking', ['pack', 'cancel']],
  ['packed', ['ship', 'cancel']],
  ['shipped', ['deliver']],
  ['delivered', []],
  ['cancelled', []],
])('a parcel that is %s', (status, expected) => {
  expect(shipmentActions({ status } as Shipment, all)).toEqual(expected)
  expect(shipmentActions({ status } as Shipment, new Set())).toEqual([])
})

test('a return is received once', () => {
  expect(mayReceive({ status: 'requested' } as never, all)).toBe(true)
  expect(mayReceive({ status: 'received' } as never, all)).toBe(false)
})
