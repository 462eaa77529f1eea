// Time: authorizations that run out, captures that are due before, and orders whose money is gone. The sweeper alone drives it.
import { describe, expect, test } from 'vitest'
import { defaultTerms, type Terms } from '../../../src/modules/orders/life.ts'
import { card, openScene, type Scene } from './life-given.ts'

const hour = 60 * 60 * 1000
const day = 24 * hour
const deadline = 6 * day // of an authorization of 7 days, 24 h before its end
const reservation = 15 * 60 * 1000

const ordered = (terms: Partial<Terms> = {}) =>
  openScene({ A: 4 }, { ...card(), terms: { ...defaultTerms, captureRule: 'at_shipment', ...terms } })
function authorized(terms: Partial<Terms> = {}): Scene {
  const scene = ordered(terms)
  scene.accept(scene.says('authorized'))
  return scene
}
function inReview(terms: Partial<Terms> = {}): Scene {
  const scene = openScene({ A: 4 }, { ...card(), review: ['amount'], terms: { ...defaultTerms, ...terms } })
  scene.accept(scene.says('authorized'))
  return scene
}
const countOf = (scene: Scene, type: string): number => scene.told().filter((one) => one === type).length

describe('at its capture deadline, an order that was not shipped', () => {
  test('is captured, for what it costs by then, and not a moment before', () => {
    const scene = authorized()
    scene.accept(scene.cancel({ A: 1 }))
    scene.wait(deadline - 1)
    expect(countOf(scene, 'payment.capture_requested')).toBe(0)
    scene.wait(1)
    expect(scene.eventsOf('payment.capture_requested')).toMatchObject([{ amount: 15 }])
    expect(scene.order()).toMatchObject({ status: 'confirmed', expiresAt: null })
    scene.accept(scene.says('captured')) // all that was set aside, so that the rest goes back
    expect(scene.life().refunds).toMatchObject([{ amount: 5 }])
  })
  test('is captured once, however often and late the sweeper looks', () => {
    const scene = authorized()
    scene.wait(deadline + 3 * hour)
    for (let turn = 0; turn < 3; turn++) scene.wait(hour)
    expect(countOf(scene, 'payment.capture_requested')).toBe(1)
  })
  test('ships afterwards without another capture, and is completed', () => {
    const scene = authorized()
    scene.wait(deadline)
    scene.accept(scene.says('captured'))
    expect(scene.order().status).toBe('confirmed')
    scene.accept(scene.ship())
    expect(scene.order().status).toBe('completed')
    expect(countOf(scene, 'payment.capture_requested')).toBe(1)
  })
  test('is cancelled in a shop that says so: its units are free, its authorization is voided', () => {
    const scene = authorized({ atCaptureDeadline: 'cancel' })
    scene.wait(deadline - 1)
    expect(scene.order().status).toBe('confirmed')
    scene.wait(1)
    expect(scene.order()).toMatchObject({ status: 'cancelled', cancelReason: 'unpaid', expiresAt: null })
    expect(scene.row(1)).toEqual({ onHand: 5, reserved: 0, committed: 0, shipped: 0 })
    expect(scene.payment().asked).toBe('void')
    expect(scene.eventsOf('order.cancelled')).toMatchObject([{ reason: 'unpaid', credited: 20 }])
  })
  test('has the deadline of its shop', () => {
    const scene = authorized({ authorizationMs: 3 * day, captureLeadMs: 2 * hour })
    scene.wait(3 * day - 2 * hour - 1)
    expect(countOf(scene, 'payment.capture_requested')).toBe(0)
    scene.wait(1)
    expect(countOf(scene, 'payment.capture_requested')).toBe(1)
  })
})

test('an order of which a parcel has left is not cancelled at the deadline: its money is taken with the parcel', () => {
  const scene = authorized({ atCaptureDeadline: 'cancel' })
  scene.accept(scene.ship({ A: 1 }))
  expect(countOf(scene, 'payment.capture_requested')).toBe(1)
  scene.wait(deadline)
  expect(scene.order().status).toBe('confirmed')
})

describe('an order whose money is gone before anything was shipped', () => {
  function lapsed(): Scene {
    const scene = authorized()
    scene.accept(scene.says('voided'), 2 * day) // by the provider
    return scene
  }
  test('waits for another payment with its units reserved, as long as a new order', () => {
    const scene = lapsed()
    expect(scene.order().status).toBe('pending')
    expect(scene.row(1)).toEqual({ onHand: 5, reserved: 4, committed: 0, shipped: 0 })
    scene.wait(reservation - 1)
    expect(scene.order().status).toBe('pending')
    scene.wait(1)
    expect(scene.order()).toMatchObject({ status: 'cancelled', cancelReason: 'unpaid' })
    expect(scene.row(1).reserved).toBe(0)
  })
  test('is confirmed again when it is paid again, and its sale is booked again', () => {
    const scene = lapsed()
    expect(scene.eventsOf('order.unpaid')).toMatchObject([{ credited: 20, currency: 'EUR' }])
    scene.accept(scene.pay())
    scene.wait(reservation)
    expect(scene.order().status).toBe('pending') // the attempt is under way
    scene.accept(scene.says('authorized'))
    expect(scene.order().status).toBe('confirmed')
    expect(scene.row(1)).toEqual({ onHand: 5, reserved: 0, committed: 4, shipped: 0 })
    expect(scene.eventsOf('order.confirmed')).toMatchObject([{ amount: 20 }, { amount: 20 }])
    scene.accept(scene.ship())
    scene.accept(scene.says('captured'))
    expect(scene.order().status).toBe('completed')
  })
  test('by the provider’s no at the capture deadline, too', () => {
    const scene = authorized()
    scene.wait(deadline)
    scene.accept(scene.says('failed'))
    expect(scene.order().status).toBe('pending')
    expect(scene.payment().error).toBe('card_declined')
  })
  test('keeps the reservation time of its shop', () => {
    const scene = authorized({ reservationMs: 2 * hour })
    scene.accept(scene.says('voided'))
    scene.wait(2 * hour - 1)
    expect(scene.order().status).toBe('pending')
    scene.wait(1)
    expect(scene.order().status).toBe('cancelled')
  })
  test('but if goods have left it stays, and owes', () => {
    const scene = authorized()
    scene.accept(scene.ship({ A: 1 }))
    scene.accept(scene.says('failed'))
    expect(scene.order().status).toBe('confirmed')
    expect(scene.refusal(scene.ship())).toBe('order_not_paid')
    scene.accept(scene.pay())
  })
})

describe('an order in review', () => {
  test('keeps its units while nobody looks at it, until its authorization runs out', () => {
    const scene = inReview()
    scene.wait(7 * day - 1)
    expect(scene.order().status).toBe('in_review')
    expect(countOf(scene, 'payment.capture_requested')).toBe(0)
    scene.wait(1)
    expect(scene.order().status).toBe('pending')
    expect(scene.payment().asked).toBe('void')
    scene.wait(reservation)
    expect(scene.order()).toMatchObject({ status: 'cancelled', cancelReason: 'unpaid' })
  })
  test('that is paid again is in review again', () => {
    const scene = inReview()
    scene.accept(scene.says('voided'))
    expect(scene.order().status).toBe('pending')
    scene.accept(scene.pay())
    scene.accept(scene.says('authorized'))
    expect(scene.order().status).toBe('in_review')
    expect(countOf(scene, 'order.in_review')).toBe(2)
  })
  test('is cancelled at its deadline in a shop that cancels then', () => {
    const scene = inReview({ atCaptureDeadline: 'cancel' })
    scene.wait(deadline)
    expect(scene.order()).toMatchObject({ status: 'cancelled', cancelReason: 'unpaid' })
    expect(scene.payment().asked).toBe('void')
  })
  test('that is approved, and whose capture is declined, may be paid otherwise', () => {
    const scene = inReview()
    scene.accept(scene.review(true))
    scene.accept(scene.says('failed'))
    expect(scene.order().status).toBe('pending')
    scene.accept(scene.pay())
    expect(scene.payment().capture).toBe('now')
    scene.accept(scene.says('captured'))
    expect(scene.order().status).toBe('confirmed')
    expect(countOf(scene, 'order.in_review')).toBe(1)
  })
})

describe('an authorization whose end has passed', () => {
  test('pays for nothing, and is voided', () => {
    const scene = authorized()
    scene.wait(deadline)
    scene.accept(scene.stopAsking('capture'))
    expect(scene.order()).toMatchObject({ status: 'confirmed', expiresAt: scene.payment().authorizedUntil })
    scene.wait(day)
    expect(scene.payment().asked).toBe('void')
    expect(scene.order().status).toBe('pending')
  })
  test('and that was taken all the same pays for its order', () => {
    const scene = authorized()
    scene.wait(deadline)
    scene.accept(scene.stopAsking('capture'))
    scene.wait(day)
    scene.accept(scene.says('captured'))
    expect(scene.order().status).toBe('confirmed')
  })
  test('is not counted when a review ends later', () => {
    const scene = inReview({ captureRule: 'at_shipment' })
    scene.accept(scene.review(true), 8 * day) // before the sweeper has looked
    expect(scene.order().status).toBe('pending')
  })
  test('while its capture is under way is the provider’s to tell', () => {
    const scene = authorized()
    scene.wait(deadline)
    scene.wait(2 * day)
    expect(scene.order()).toMatchObject({ status: 'confirmed', expiresAt: null })
    expect(countOf(scene, 'payment.void_requested')).toBe(0)
  })
})

test('what takes its money at once has no deadline', () => {
  const scene = openScene({ A: 4 }, card())
  scene.accept(scene.says('captured'))
  expect(scene.order().expiresAt).toBeNull()
  expect(scene.payment()).not.toHaveProperty('authorizedUntil')
  expect(scene.life()).not.toHaveProperty('timing')
})
