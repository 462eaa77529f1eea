// What is refused in the life of an order, each with its own code and nothing changed (the scene checks that), and the rules
// of money and goods that a single refusal does not tell.
import { describe, expect, test } from 'vitest'
import type { ShopId, Uuid } from '../../../src/base/ids.ts'
import { decideBatch } from '../../../src/modules/orders/decide.ts'
import { cancelOrder, freshState, orderOf, submit, traceOf } from './decide-given.ts'
import { atShipment, card, openScene, partId } from './life-given.ts'

const unpaid = () => openScene({ A: 2 })
const paying = () => openScene({ A: 2 }, card())
const paidElsewhere = () => openScene({ A: 2, B: 1 }, { provider: 'none' })
function captured(units: Record<string, number> = { A: 4 }) {
  const scene = openScene(units, card())
  scene.accept(scene.says('captured'))
  return scene
}

describe('a refund is refused', () => {
  test('above what was captured', () => {
    const scene = captured()
    expect(scene.refusal(scene.refund(21))).toBe('refund_too_large')
  })
  test('above what is left of it', () => {
    const scene = captured()
    scene.accept(scene.refund(15))
    expect(scene.refusal(scene.refund(6))).toBe('refund_too_large')
    scene.accept(scene.refund(5))
    expect(scene.refusal(scene.refund(null))).toBe('refund_too_large')
  })
  test('before anything was captured', () => {
    const scene = paying()
    expect(scene.refusal(scene.refund(1))).toBe('refund_too_large')
    expect(scene.refusal(scene.refund(null))).toBe('refund_too_large')
    scene.accept(scene.says('authorized'))
    expect(scene.refusal(scene.refund(null, { A: 1 }))).toBe('refund_too_large')
  })
  test('of more units than were ordered, or of units whose price went back', () => {
    const scene = captured({ A: 2, B: 2 })
    expect(scene.refusal(scene.refund(null, { A: 3 }))).toBe('quantity_too_large')
    scene.accept(scene.refund(null, { A: 1 }))
    expect(scene.refusal(scene.refund(null, { A: 2 }))).toBe('quantity_too_large')
    expect(scene.refusal(scene.refund(null, { C: 1 }))).toBe('line_not_found')
  })
  test('of a cancelled order, whose money has gone back', () => {
    const scene = captured()
    scene.accept(scene.cancel())
    expect(scene.refusal(scene.refund(null))).toBe('refund_too_large')
  })
})

describe('a capture is refused', () => {
  test('after a void', () => {
    const scene = openScene({ A: 2 }, { ...card(), ...atShipment })
    scene.accept(scene.says('authorized'))
    scene.accept(scene.says('voided'))
    expect(scene.refusal(scene.capture())).toBe('nothing_to_capture')
  })
  test('while a void or a capture is under way, and after the money was taken', () => {
    const scene = openScene({ A: 2 }, { ...card(), ...atShipment })
    expect(scene.refusal(scene.capture())).toBe('nothing_to_capture')
    scene.accept(scene.says('authorized'))
    scene.accept(scene.capture())
    expect(scene.refusal(scene.capture())).toBe('nothing_to_capture')
    scene.accept(scene.says('captured'))
    expect(scene.refusal(scene.capture())).toBe('nothing_to_capture')
  })
  test('of a cancelled order', () => {
    const scene = paying()
    scene.accept(scene.cancel())
    scene.accept(scene.says('authorized'))
    expect(scene.payment().asked).toBe('void')
    expect(scene.refusal(scene.capture())).toBe('order_cancelled')
  })
  test('while somebody has to look at the order', () => {
    const scene = openScene({ A: 2 }, { ...card(), review: ['amount'] })
    scene.accept(scene.says('authorized'))
    expect(scene.refusal(scene.capture())).toBe('nothing_to_capture')
  })
})

describe('an attempt to pay is refused', () => {
  test('while another one is open', () => {
    const scene = paying()
    expect(scene.refusal(scene.pay())).toBe('payment_in_progress')
    scene.accept(scene.says('requires_action'))
    expect(scene.refusal(scene.pay())).toBe('payment_in_progress')
  })
  test('while the money of another one is being taken', () => {
    const scene = paying()
    scene.accept(scene.says('authorized'))
    expect(scene.refusal(scene.pay())).toBe('payment_in_progress')
  })
  test('when the order is paid, or its money is set aside', () => {
    expect(captured().refusal(captured().pay())).toBe('not_found') // another order
    const one = captured()
    expect(one.refusal(one.pay())).toBe('order_paid')
    const later = openScene({ A: 2 }, { ...card(), ...atShipment })
    later.accept(later.says('authorized'))
    expect(later.refusal(later.pay())).toBe('order_paid')
  })
  test('when the order is cancelled', () => {
    const scene = unpaid()
    scene.accept(scene.cancel())
    expect(scene.refusal(scene.pay())).toBe('order_cancelled')
  })
  test('but not when the one before it has failed, nor when an order costs nothing', () => {
    const scene = paying()
    scene.accept(scene.says('failed'))
    scene.accept(scene.pay())
    scene.accept(scene.says('captured'))
    expect(scene.order().status).toBe('confirmed')
    const free = openScene({})
    free.accept(free.pay())
    expect(free.order().status).toBe('completed')
    expect(free.told()).not.toContain('payment.requested')
  })
})

describe('a shipment is refused', () => {
  test('of more than was ordered, or of what was not', () => {
    const scene = paidElsewhere()
    expect(scene.refusal(scene.ship({ A: 3 }))).toBe('quantity_too_large')
    expect(scene.refusal(scene.ship({ C: 1 }))).toBe('line_not_found')
  })
  test('of more than is left of it', () => {
    const scene = paidElsewhere()
    scene.accept(scene.ship({ A: 1 }))
    expect(scene.refusal(scene.ship({ A: 2 }))).toBe('quantity_too_large')
    scene.accept(scene.cancel({ A: 1 }))
    expect(scene.refusal(scene.ship({ A: 1 }))).toBe('quantity_too_large')
  })
  test('before the order is paid, and while somebody has to look at it', () => {
    const scene = paying()
    expect(scene.refusal(scene.ship())).toBe('order_not_confirmed')
    const reviewed = openScene({ A: 2 }, { ...card(), review: ['amount'] })
    reviewed.accept(reviewed.says('captured'))
    expect(reviewed.refusal(reviewed.ship())).toBe('order_not_confirmed')
  })
  test('after a cancellation, and after everything has left', () => {
    const cancelled = paidElsewhere()
    cancelled.accept(cancelled.cancel())
    expect(cancelled.refusal(cancelled.ship())).toBe('order_cancelled')
    const done = paidElsewhere()
    done.accept(done.ship())
    expect(done.refusal(done.ship())).toBe('order_shipped')
  })
  test('from a place where nothing of it is', () => {
    const scene = paidElsewhere()
    expect(scene.refusal(scene.ship(null, 'east'))).toBe('nothing_to_ship')
    expect(scene.refusal(scene.ship({ A: 1 }, 'east'))).toBe('nothing_to_ship')
  })
})

describe('a cancellation is refused', () => {
  test('of what was shipped: of ship and cancel exactly one wins', () => {
    const scene = paidElsewhere()
    scene.accept(scene.ship())
    expect(scene.refusal(scene.cancel())).toBe('order_shipped')
    expect(scene.refusal(scene.cancel({ A: 1 }))).toBe('order_shipped')
  })
  test('of more than has not been shipped', () => {
    const scene = paidElsewhere()
    scene.accept(scene.ship({ A: 1 }))
    expect(scene.refusal(scene.cancel({ A: 2 }))).toBe('quantity_too_large')
    scene.accept(scene.cancel())
    expect(scene.order()).toMatchObject({ status: 'completed', cancelled: [1, 1] })
  })
  test('twice', () => {
    const scene = unpaid()
    scene.accept(scene.cancel())
    expect(scene.refusal(scene.cancel())).toBe('order_cancelled')
  })
})

describe('a short pick is refused', () => {
  test('of an order that is not confirmed, or is over', () => {
    const scene = paying()
    expect(scene.refusal(scene.shortPick({ A: 1 }))).toBe('order_not_confirmed')
    scene.accept(scene.cancel())
    expect(scene.refusal(scene.shortPick({ A: 1 }))).toBe('order_cancelled')
  })
  test('of more than should be there', () => {
    const scene = paidElsewhere()
    expect(scene.refusal(scene.shortPick({ A: 3 }))).toBe('quantity_too_large')
    expect(scene.refusal(scene.shortPick({ A: 1 }, 'east'))).toBe('quantity_too_large')
  })
})

describe('a return is refused', () => {
  test('of what was not shipped, or is already coming back', () => {
    const scene = paidElsewhere()
    expect(scene.refusal(scene.askReturn({ A: 1 }))).toBe('not_shipped')
    scene.accept(scene.ship({ A: 1 }))
    expect(scene.refusal(scene.askReturn({ A: 2 }))).toBe('not_shipped')
    expect(scene.refusal(scene.askReturn({ B: 1 }))).toBe('not_shipped')
    scene.accept(scene.askReturn({ A: 1 }))
    expect(scene.refusal(scene.askReturn({ A: 1 }))).toBe('not_shipped')
    expect(scene.refusal(scene.askReturn({ C: 1 }))).toBe('line_not_found')
  })
  test('when more comes back than was said, and when it has come back', () => {
    const scene = paidElsewhere()
    scene.accept(scene.ship())
    scene.accept(scene.askReturn({ A: 1 }))
    expect(scene.refusal(scene.receive({ A: 2 }))).toBe('quantity_too_large')
    scene.accept(scene.receive({ A: 1 }))
    expect(scene.refusal(scene.receive({ A: 1 }))).toBe('return_received')
    expect(scene.refusal(scene.receive({ A: 1 }, true, partId()))).toBe('not_found')
  })
})

test('what is not in review is neither approved nor refused', () => {
  const scene = unpaid()
  expect(scene.refusal(scene.review(true))).toBe('not_in_review')
  const reviewed = openScene({ A: 1 }, { ...card(), review: ['amount'] })
  reviewed.accept(reviewed.review(true))
  expect(reviewed.refusal(reviewed.review(false))).toBe('not_in_review')
  const refused = openScene({ A: 1 }, { ...card(), review: ['amount'] })
  refused.accept(refused.review(false))
  expect(refused.refusal(refused.review(true))).toBe('order_cancelled')
})

test('an address stays as it is once a parcel has left', () => {
  const scene = paidElsewhere()
  scene.accept(scene.address('FR'))
  scene.accept(scene.ship({ A: 1 }))
  expect(scene.refusal(scene.address('DE'))).toBe('order_shipped')
  expect(scene.order().personal?.address).toEqual({ country: 'FR' })
})

test('what nobody made is not found: parcels, returns, payments and refunds', () => {
  const scene = captured()
  scene.accept(scene.cancel())
  expect(scene.refusal(scene.deliver(partId()))).toBe('not_found')
  const settled = { ...scene.says('captured'), settlement: { of: 'payment', id: partId(), says: 'voided' } } as const
  expect(scene.refusal(settled)).toBe('not_found')
  const refunded = { ...settled, settlement: { of: 'refund', id: partId(), says: 'refunded' } } as const
  expect(scene.refusal(refunded)).toBe('not_found')
})

test('every command on an order is for its own shop, and for the version that it expects', () => {
  const scene = captured()
  scene.accept(scene.ship({ A: 1 }))
  scene.accept(scene.askReturn({ A: 1 }))
  const every = [
    scene.pay(),
    scene.capture(),
    scene.refund(1),
    scene.ship(),
    scene.pick(),
    scene.pack(),
    scene.dispatch(),
    scene.giveUp(),
    scene.deliver(),
    scene.shortPick({ A: 1 }),
    scene.askReturn({ A: 1 }),
    scene.receive({ A: 1 }),
    scene.review(true),
    scene.address('FR'),
    scene.cancel(),
  ]
  for (const command of every) {
    expect(scene.refusal({ ...command, shopId: 2 as ShopId })).toBe('not_found')
    expect(scene.refusal({ ...command, orderId: partId() as Uuid })).toBe('not_found')
    expect(scene.refusal({ ...command, ifVersion: scene.order().version - 1 }), command.kind).toBe(
      'precondition_failed',
    )
  }
  expect(scene.refusal({ ...scene.says('captured'), shopId: 2 as ShopId })).toBe('not_found')
})

test('a parcel or a return of another order is not this one’s', () => {
  const state = freshState()
  const [one, other] = [orderOf({ A: 1 }, { provider: 'none' }), orderOf({ B: 1 }, { provider: 'none' })]
  decideBatch(state, [submit(one), submit(other)])
  const shipmentId = partId()
  const ship = { kind: 'ship_order', shopId: one.shopId, ifVersion: null, lines: null, location: null } as const
  decideBatch(state, [submit({ ...ship, orderId: one.orderId, shipmentId, carrier: '', trackingNumber: '' })])
  const before = traceOf(state)
  const deliver = { kind: 'deliver_shipment', shopId: one.shopId, orderId: other.orderId, shipmentId } as const
  expect(decideBatch(state, [submit({ ...deliver, ifVersion: null })])).toMatchObject([{ code: 'not_found' }])
  expect(traceOf(state)).toEqual(before)
  expect(decideBatch(state, [submit(cancelOrder(other.orderId, null))])).toMatchObject([{ ok: true }])
})
