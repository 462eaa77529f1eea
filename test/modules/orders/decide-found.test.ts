// What happened at the provider itself: refunds that nobody here asked for, and disputes.
import { expect, test } from 'vitest'
import type { Uuid } from '../../../src/base/ids.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import { costOf } from '../../../src/modules/orders/money.ts'
import type { FoundDispute, FoundRefund } from '../../../src/modules/orders/types.ts'
import { card, openScene, partId, type Scene, shopId } from './life-given.ts'

const settle = (scene: Scene, settlement: FoundRefund | FoundDispute) =>
  ({ kind: 'settle', shopId, orderId: scene.order().id, settlement }) as const

function found(scene: Scene, amount: number, says: 'refunded' | 'failed' = 'refunded', reference = 're_1') {
  const of = { of: 'found_refund', id: idOf(reference), paymentId: scene.payment().id, reference } as const
  const money = { amount: amount as MinorUnits }
  return settle(scene, says === 'failed' ? { ...of, ...money, says, error: 'lost_card' } : { ...of, ...money, says })
}

function disputed(scene: Scene, says: FoundDispute['says'], amount = 10, reference = 'du_1') {
  const of = { of: 'dispute', id: idOf(reference), paymentId: scene.payment().id, reference } as const
  return settle(scene, { ...of, amount: amount as MinorUnits, reason: 'fraudulent', says })
}

const ids = new Map<string, Uuid>()
const idOf = (reference: string): Uuid => ids.getOrInsertComputed(reference, partId)

/** Two units of 5 each, paid. */
function paid(): Scene {
  const scene = openScene({ A: 2 }, card())
  scene.accept(scene.says('captured'))
  expect(scene.order().status).toBe('confirmed')
  return scene
}

const sums = (scene: Scene) => [costOf(scene.order()), scene.held()]

test('a refund made at the provider makes a standing order cost that much less, once', () => {
  const scene = paid()
  scene.accept(found(scene, 3))
  scene.accept(found(scene, 3))
  expect(sums(scene)).toEqual([7, 7])
  expect(scene.life().refunds).toMatchObject([{ status: 'refunded', amount: 3, reference: 're_1' }])
  expect(scene.eventsOf('order.credited')).toMatchObject([{ amount: 3, credited: 3 }])
  expect(scene.eventsOf('payment.refunded')).toMatchObject([{ amount: 3, by: 'provider' }])
  expect(scene.refusal(scene.refund(8))).toBe('refund_too_large')
})

test('two of one amount are two', () => {
  const scene = paid()
  scene.accept(found(scene, 3))
  scene.accept(found(scene, 3, 'refunded', 're_2'))
  expect(sums(scene)).toEqual([4, 4])
})

test('one that is taken back later is owed again, and one that never was is nothing', () => {
  const scene = paid()
  scene.accept(found(scene, 3, 'failed'))
  expect(scene.life().refunds).toEqual([])
  scene.accept(found(scene, 3))
  scene.accept(found(scene, 3, 'failed'))
  expect(scene.life().refunds).toMatchObject([{ status: 'failed', error: 'lost_card' }])
  expect(scene.eventsOf('payment.refund_failed')).toMatchObject([{ taken_back: 3 }])
  expect(costOf(scene.order())).toBe(7)
})

test('what was owed by a refund that failed is paid by one of the same amount, and what was asked for before says nothing of it', () => {
  const scene = paid()
  scene.accept(scene.refund(4))
  scene.accept(scene.refundIs('failed'))
  scene.accept(found(scene, 4))
  expect(scene.life().refunds).toMatchObject([{ status: 'refunded', amount: 4, reference: 're_1' }])
  expect(sums(scene)).toEqual([6, 6])
  scene.accept(scene.refundIs('failed')) // heard again
  expect(scene.life().refunds).toMatchObject([{ status: 'refunded' }])
  expect(scene.eventsOf('order.credited')).toHaveLength(1)
})

test('of an order that is cancelled nothing is left to be credited', () => {
  const scene = paid()
  scene.accept(scene.cancel())
  scene.accept(scene.refundIs('failed'))
  scene.accept(found(scene, 10))
  expect(scene.life().refunds).toMatchObject([{ status: 'refunded', amount: 10 }])
  expect(sums(scene)).toEqual([0, 0])
  expect(scene.told()).not.toContain('order.credited')
})

test('a dispute is told once, and its end whichever comes first', () => {
  const scene = paid()
  scene.accept(disputed(scene, 'open'))
  scene.accept(disputed(scene, 'open'))
  expect(scene.payment().dispute).toMatchObject({ status: 'open', reason: 'fraudulent' })
  expect(sums(scene)).toEqual([10, 10])
  scene.accept(disputed(scene, 'won'))
  scene.accept(disputed(scene, 'open'))
  expect(scene.told().filter((type) => type.includes('dispute'))).toEqual(['payment.disputed', 'payment.dispute_won'])
  expect(scene.life().refunds).toEqual([])
})

test('a dispute that is lost takes its money once; goods that come back later are not paid for again', () => {
  const scene = paid()
  scene.accept(disputed(scene, 'lost'))
  scene.accept(disputed(scene, 'lost'))
  scene.accept(disputed(scene, 'open'))
  expect(sums(scene)).toEqual([0, 0])
  expect(scene.life().refunds).toMatchObject([{ status: 'refunded', amount: 10, isDispute: true }])
  expect(scene.eventsOf('order.credited')).toMatchObject([{ reason: 'dispute_lost', credited: 10 }])
  scene.accept(scene.ship())
  scene.accept(scene.askReturn({ A: 1 }))
  scene.accept(scene.receive({ A: 1 }))
  expect(scene.life().refunds).toHaveLength(1)
})

test('a dispute that was lost is told again after another one was opened, and takes nothing more', () => {
  const scene = paid()
  scene.accept(disputed(scene, 'lost', 4))
  scene.accept(disputed(scene, 'open', 6, 'du_2'))
  scene.accept(disputed(scene, 'lost', 4))
  expect(sums(scene)).toEqual([6, 6])
  expect(scene.life().refunds).toHaveLength(1)
})

test('of a payment that there is not nothing is taken', () => {
  const scene = paid()
  const strange = { ...found(scene, 3).settlement, paymentId: partId() }
  expect(scene.refusal(settle(scene, strange))).toBe('not_found')
})
