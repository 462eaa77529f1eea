// Faults that were found in the decisions of an order's life, each as a test that failed before it was mended.
import { expect, it } from 'vitest'
import type { Sku } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import { atShipment, card, openScene, partId } from './life-given.ts'

it('no second attempt begins while the first one’s money is being taken: it would be taken twice', () => {
  const scene = openScene({ A: 2 }, card())
  scene.accept(scene.says('authorized'))
  expect(scene.payment()).toMatchObject({ status: 'authorized', asked: 'capture' })
  expect(scene.refusal(scene.pay())).toBe('payment_in_progress')
  scene.accept(scene.says('captured'))
  expect(scene.order().status).toBe('confirmed')
  expect(scene.held()).toBe(10)
})

it('an attempt whose capture was declined makes way for the next', () => {
  const scene = openScene({ A: 2 }, card())
  scene.accept(scene.says('authorized'))
  scene.accept(scene.says('failed'))
  scene.accept(scene.pay())
  expect(scene.life().payments.map(({ status }) => status)).toEqual(['failed', 'pending'])
})

it('an order of which not one unit was found is cancelled for being short, not completed', () => {
  const scene = openScene({ A: 2 }, card())
  scene.accept(scene.says('captured'))
  scene.accept(scene.shortPick({ A: 1 })) // found at the other location
  expect(scene.order()).toMatchObject({ status: 'confirmed', cancelled: null })
  const unfound = openScene({ A: 10 }, card())
  unfound.accept(unfound.says('captured'))
  unfound.accept(unfound.shortPick({ A: 5 }, 'main'))
  expect(unfound.order()).toMatchObject({ status: 'confirmed', cancelled: [5] })
  unfound.accept(unfound.shortPick({ A: 5 }, 'east'))
  expect(unfound.order()).toMatchObject({ status: 'cancelled', cancelReason: 'short' })
  expect(unfound.held()).toBe(0)
  expect(unfound.eventsOf('order.cancelled')).toMatchObject([{ reason: 'short', credited: 25 }])
  for (const row of [1, 2]) expect(unfound.row(row)).toMatchObject({ onHand: 0, reserved: 0, committed: 0 })
})

it('units come back to the row that each was shipped from, also when they come in two returns', () => {
  const scene = openScene({ A: 8 }, card())
  scene.accept(scene.says('captured'))
  scene.accept(scene.ship(null, 'main'))
  scene.accept(scene.ship(null, 'east'))
  const shippedFrom = [1, 2].map((row) => scene.row(row).shipped)
  expect(shippedFrom.toSorted()).toEqual([3, 5])
  const onHand = [1, 2].map((row) => scene.row(row).onHand)
  for (const units of [3, 5]) {
    scene.accept(scene.askReturn({ A: units }))
    scene.accept(scene.receive({ A: units }))
  }
  expect([1, 2].map((row) => scene.row(row).onHand)).toEqual(onHand.map((count, at) => count + shippedFrom[at]!))
})

it('a review that was refused does not read as open', () => {
  const scene = openScene({ A: 1 }, { ...card(), review: ['amount'] })
  scene.accept(scene.says('authorized'))
  scene.accept(scene.review(false))
  expect(scene.order()).toMatchObject({ status: 'cancelled', cancelReason: 'fraud' })
  expect(scene.life().review).toBe('refused')
})

it('a refund has the id it was asked under, and what would give back nothing is none', () => {
  const scene = openScene({ A: 2 }, card())
  scene.accept(scene.says('captured'))
  const refund = scene.refund(4)
  scene.accept(refund)
  expect(scene.life().refunds).toMatchObject([{ id: refund.refundId, amount: 4 }])
  expect(scene.refusal(scene.refund(0))).toBe('nothing_to_refund')
  scene.accept(scene.refund(null, { A: 1 }))
  expect(scene.held()).toBe(1)
  expect(scene.refusal(scene.refund(2))).toBe('refund_too_large')
})

it('units that cost nothing are not refunded by line', () => {
  const priced = (sku: string, amount: number) => ({
    sku: sku as Sku,
    quantity: 1,
    unitPrice: amount as MinorUnits,
    amount: amount as MinorUnits,
  })
  const scene = openScene({}, { ...card(), lines: [priced('A', 5), priced('B', 0)] })
  scene.accept(scene.says('captured'))
  expect(scene.refusal(scene.refund(null, { B: 1 }))).toBe('nothing_to_refund')
  scene.accept(scene.refund(null, { A: 1, B: 1 }))
  expect(scene.held()).toBe(0)
})

it('nobody’s tries make a life without end', () => {
  const scene = openScene({ A: 1 }, card())
  for (let tries = 1; tries < limits.orderPaymentsMax; tries++) {
    scene.accept(scene.says('failed'))
    scene.accept(scene.pay())
  }
  scene.accept(scene.says('failed'))
  expect(scene.refusal(scene.pay())).toBe('too_many_parts')
})

it('an authorization that waits for the parcel is paid enough', () => {
  const scene = openScene({ A: 2 }, { ...card(), ...atShipment })
  scene.accept(scene.says('authorized'))
  expect(scene.order().status).toBe('confirmed')
  expect(scene.refusal(scene.pay())).toBe('order_paid')
  expect(scene.refusal({ ...scene.refund(null), refundId: partId() })).toBe('refund_too_large')
})
