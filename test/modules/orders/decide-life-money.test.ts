// The one rule for money, case by case: whatever a provider says, however late and however often, what is held in the end is
// what the standing order costs. And what units cost when they are counted one by one.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { paymentStatusOf, priceOf } from '../../../src/modules/orders/money.ts'
import { atShipment, card, openScene } from './life-given.ts'

const paying = () => openScene({ A: 4 }, card())
function captured(units: Record<string, number> = { A: 4 }) {
  const scene = openScene(units, card())
  scene.accept(scene.says('captured'))
  return scene
}

describe('money that arrives for an order that is over goes back', () => {
  test('a late authorization is voided', () => {
    const scene = paying()
    scene.accept(scene.cancel())
    scene.accept(scene.says('authorized'))
    expect(scene.payment().asked).toBe('void')
    expect(scene.told().at(-1)).toBe('payment.void_requested')
    scene.accept(scene.says('voided'))
    expect(scene.held()).toBe(0)
  })
  test('a late capture is refunded', () => {
    const scene = paying()
    scene.accept(scene.cancel())
    scene.accept(scene.says('captured'))
    expect(scene.life().refunds).toMatchObject([{ amount: 20, status: 'pending' }])
    scene.accept(scene.refundIs('refunded'))
    expect(scene.order().status).toBe('cancelled')
  })
  test('a capture that was under way is refunded when it is done', () => {
    const scene = paying()
    scene.accept(scene.says('authorized'))
    scene.accept(scene.cancel())
    expect(scene.payment().asked).toBe('capture')
    scene.accept(scene.says('captured'))
    expect(scene.life().refunds).toMatchObject([{ amount: 20 }])
  })
  test('a payment that had failed and was taken after all, beside the one that paid', () => {
    const scene = paying()
    scene.accept(scene.says('failed'))
    scene.accept(scene.pay())
    scene.accept(scene.says('captured'))
    scene.accept(scene.says('captured', 0))
    expect(scene.held()).toBe(20)
    expect(scene.life().refunds).toMatchObject([{ amount: 20, status: 'pending' }])
  })
  test('a payment that had failed and was authorized after all, beside the one that paid', () => {
    const scene = paying()
    scene.accept(scene.says('failed'))
    scene.accept(scene.pay())
    scene.accept(scene.says('captured'))
    scene.accept(scene.says('authorized', 0))
    expect(scene.payment(0).asked).toBe('void')
  })
})

describe('an order waits for its money', () => {
  test('an attempt without an answer keeps the units, however long it takes', () => {
    const scene = paying()
    scene.wait(30 * 24 * 60 * 60 * 1000)
    expect(scene.order().status).toBe('pending')
    scene.accept(scene.says('failed'))
    scene.wait(0)
    expect(scene.order()).toMatchObject({ status: 'cancelled', cancelReason: 'unpaid' })
  })
  test('after a failed attempt its reservation ends when it would have', () => {
    const scene = paying()
    scene.accept(scene.says('failed'), 600_000)
    scene.wait(299_999)
    expect(scene.order().status).toBe('pending')
    scene.wait(1)
    expect(scene.order().status).toBe('cancelled')
  })
  test('a shop that captures at shipment is paid with the first parcel, and once', () => {
    const scene = openScene({ A: 4 }, { ...card(), ...atShipment })
    scene.accept(scene.says('authorized'))
    expect(scene.order().status).toBe('confirmed')
    expect(scene.told()).not.toContain('payment.capture_requested')
    scene.accept(scene.ship({ A: 1 }))
    scene.accept(scene.ship())
    expect(scene.eventsOf('payment.capture_requested')).toMatchObject([{ amount: 20 }])
    expect(scene.order().status).toBe('confirmed')
    scene.accept(scene.says('captured'))
    expect(scene.order().status).toBe('completed')
  })
  test('only what the order costs by then is captured', () => {
    const scene = openScene({ A: 4 }, { ...card(), ...atShipment })
    scene.accept(scene.says('authorized'))
    scene.accept(scene.cancel({ A: 1 }))
    scene.accept(scene.ship())
    expect(scene.eventsOf('payment.capture_requested')).toMatchObject([{ amount: 15 }])
  })
  test('in review nothing is taken, and afterwards what was set aside', () => {
    const scene = openScene({ A: 4 }, { ...card(), review: ['amount'] })
    expect(scene.payment().capture).toBe('later')
    scene.accept(scene.says('authorized'))
    expect(scene.payment().asked).toBeNull()
    scene.accept(scene.review(true))
    expect(scene.payment().asked).toBe('capture')
    scene.accept(scene.says('captured'))
    expect(scene.order().status).toBe('confirmed')
  })
})

describe('what a provider says twice counts once', () => {
  test('an authorization, a capture, a refund', () => {
    const scene = captured()
    expect(scene.refusal(scene.says('captured'))).toBe('accepted')
    expect(scene.refusal(scene.says('authorized'))).toBe('accepted')
    scene.accept(scene.refund(5))
    scene.accept(scene.refundIs('refunded'))
    expect(scene.refusal(scene.refundIs('refunded'))).toBe('accepted')
    expect(scene.eventsOf('payment.refunded')).toMatchObject([{ amount: 5 }])
  })
  test('a refund that failed and was made after all', () => {
    const scene = captured()
    scene.accept(scene.refund(5))
    scene.accept(scene.refundIs('failed'))
    expect(scene.eventsOf('payment.refund_failed')).toMatchObject([{ amount: 5, error: 'closed_account' }])
    expect(scene.held()).toBe(15) // it is owed, and stands in the dead letters
    scene.accept(scene.refundIs('refunded'))
    expect(scene.life().refunds).toMatchObject([{ status: 'refunded', error: null }])
    expect(scene.eventsOf('payment.refund_failed')[0]).not.toHaveProperty('taken_back')
  })
})

describe('a refund that the provider takes back after it was made', () => {
  function takenBack() {
    const scene = captured()
    scene.accept(scene.refund(5))
    scene.accept(scene.refundIs('refunded'))
    scene.accept(scene.refundIs('failed'))
    return scene
  }
  test('is owed again, and its event says how much came back', () => {
    const scene = takenBack()
    expect(scene.life().refunds).toMatchObject([{ status: 'failed', error: 'closed_account' }])
    expect(paymentStatusOf(scene.order())).toBe('captured')
    expect(scene.eventsOf('payment.refund_failed')).toMatchObject([
      { amount: 5, taken_back: 5, error: 'closed_account', provider: 'test', reference: 'ch_1', currency: 'EUR' },
    ])
  })
  test('counts once, is not asked for again by itself, and may be made after all', () => {
    const scene = takenBack()
    expect(scene.refusal(scene.refundIs('failed'))).toBe('accepted')
    expect(scene.eventsOf('payment.refund_requested')).toHaveLength(1)
    expect(scene.refusal(scene.refund(16))).toBe('refund_too_large') // it is still the buyer's
    scene.accept(scene.refundIs('refunded'))
    expect(scene.eventsOf('payment.refunded')).toHaveLength(2)
    expect(paymentStatusOf(scene.order())).toBe('partially_refunded')
  })
  test('is not believed of a provider that merely did not answer', () => {
    const scene = captured()
    scene.accept(scene.refund(5))
    scene.accept(scene.refundIs('refunded'))
    const { settlement, ...rest } = scene.refundIs('failed')
    const given = { ...rest, settlement: { ...settlement, error: 'provider_unavailable' } as typeof settlement }
    expect(scene.refusal(given)).toBe('accepted')
    expect(scene.life().refunds).toMatchObject([{ status: 'refunded' }])
  })
})

describe('an operation that somebody has given up', () => {
  test('to authorize: the attempt has failed, and another may follow', () => {
    for (const isActing of [false, true]) {
      const scene = paying()
      if (isActing) scene.accept(scene.says('requires_action'))
      scene.accept(scene.stopAsking('authorize'))
      expect(scene.payment()).toMatchObject({ status: 'failed', error: 'given_up' })
      expect(scene.order().expiresAt).not.toBeNull()
      scene.accept(scene.pay())
      scene.accept(scene.says('captured'))
      scene.accept(scene.says('captured', 0)) // it was charged after all
      expect(scene.life().refunds).toMatchObject([{ amount: 20, status: 'pending' }])
    }
  })
  test('to capture: it is asked for again by hand only, and the order can be cancelled', () => {
    const scene = paying()
    scene.accept(scene.says('authorized'))
    scene.accept(scene.stopAsking('capture'))
    expect(scene.payment()).toMatchObject({ status: 'authorized', asked: null, givenUp: 'capture' })
    expect(scene.eventsOf('payment.given_up')).toMatchObject([{ operation: 'capture', amount: 20 }])
    expect(scene.eventsOf('payment.capture_requested')).toHaveLength(1)
    scene.accept(scene.capture())
    expect(scene.payment()).toMatchObject({ asked: 'capture' })
    expect(scene.payment().givenUp).toBeUndefined()
    scene.accept(scene.stopAsking('capture'))
    scene.accept(scene.cancel())
    expect(scene.payment().asked).toBe('void')
  })
  test('to capture, and it was taken all the same', () => {
    const scene = paying()
    scene.accept(scene.says('authorized'))
    scene.accept(scene.stopAsking('capture'))
    scene.accept(scene.says('captured'))
    expect(scene.order().status).toBe('confirmed')
    expect(scene.payment().givenUp).toBeUndefined()
  })
  test('to void: it is not asked for again, and what the provider says counts', () => {
    const scene = paying()
    scene.accept(scene.cancel())
    scene.accept(scene.says('authorized'))
    scene.accept(scene.stopAsking('void'))
    expect(scene.payment()).toMatchObject({ status: 'authorized', asked: null, givenUp: 'void' })
    expect(scene.eventsOf('payment.void_requested')).toHaveLength(1)
    scene.accept(scene.says('voided'))
    expect(scene.payment().status).toBe('voided')
  })
  test('to void: money that ran out pays for nothing afterwards, and another attempt may follow', () => {
    const scene = openScene({ A: 2 }, { ...card(), ...atShipment })
    scene.accept(scene.says('authorized'))
    scene.wait(8 * 24 * 60 * 60 * 1000)
    scene.accept(scene.stopAsking('void'))
    expect(scene.payment()).toMatchObject({ status: 'authorized', asked: null, givenUp: 'void' })
    expect(scene.order().status).toBe('pending')
    expect(scene.refusal(scene.ship())).toBe('order_not_confirmed')
    scene.accept(scene.pay())
    expect(scene.eventsOf('payment.capture_requested')).toHaveLength(0)
    expect(scene.eventsOf('payment.void_requested')).toHaveLength(1)
  })
  test('changes nothing when it is not what the order waits for', () => {
    const scene = paying()
    expect(scene.refusal(scene.stopAsking('capture'))).toBe('accepted')
    expect(scene.payment().status).toBe('pending')
    scene.accept(scene.says('authorized'))
    expect(scene.refusal(scene.stopAsking('authorize'))).toBe('accepted')
    expect(scene.refusal(scene.stopAsking('void'))).toBe('accepted')
    expect(scene.payment().asked).toBe('capture')
    scene.accept(scene.says('captured'))
    expect(scene.refusal(scene.stopAsking('capture'))).toBe('accepted')
    expect(scene.refusal(scene.stopAsking('authorize'))).toBe('accepted')
  })
})

describe('the price of a unit goes back once', () => {
  test('units refunded first and cancelled afterwards', () => {
    const scene = captured()
    scene.accept(scene.refund(null, { A: 1 }))
    scene.accept(scene.cancel({ A: 1 }))
    expect(scene.held()).toBe(15)
    scene.accept(scene.cancel({ A: 1 }))
    expect(scene.held()).toBe(10)
  })
  test('units refunded first and returned afterwards', () => {
    const scene = captured()
    scene.accept(scene.ship())
    scene.accept(scene.refund(null, { A: 2 }))
    scene.accept(scene.askReturn({ A: 3 }))
    scene.accept(scene.receive({ A: 3 }))
    expect(scene.held()).toBe(5)
  })
  test('an amount given back for nothing in particular is not given back again with the goods', () => {
    const scene = captured()
    scene.accept(scene.refund(18))
    scene.accept(scene.cancel({ A: 3 }))
    expect(scene.held()).toBe(0)
    scene.accept(scene.cancel())
    expect(scene.held()).toBe(0)
  })
  test('the price of the parts of a line is the price of the line, to the minor unit', () => {
    const line = fc.record({ amount: fc.nat(1_000_000_000_000), quantity: fc.integer({ min: 1, max: 1_000_000 }) })
    const cuts = fc.array(fc.nat(1_000_000), { maxLength: 20 })
    fc.assert(
      fc.property(line, cuts, (of, at) => {
        const steps = [0, ...at.map((cut) => cut % (of.quantity + 1)), of.quantity].toSorted((a, b) => a - b)
        let sum = 0
        for (const [index, step] of steps.entries()) {
          const part = priceOf(of, step) - priceOf(of, steps[index - 1] ?? 0)
          expect(part).toBeGreaterThanOrEqual(0)
          sum += part
        }
        expect(sum).toBe(of.amount)
        for (const step of steps) expect(priceOf(of, step)).toBe(exactFloor(of.amount, step, of.quantity))
      }),
    )
  })
})

const exactFloor = (amount: number, units: number, quantity: number): number =>
  Number((BigInt(amount) * BigInt(units)) / BigInt(quantity))

describe('units that are not found', () => {
  test('are taken from another place, and lost where they should have been', () => {
    const scene = captured()
    scene.accept(scene.shortPick({ A: 3 }))
    expect(scene.row(1)).toEqual({ onHand: 2, reserved: 0, committed: 1, shipped: 0 })
    expect(scene.row(2)).toEqual({ onHand: 5, reserved: 0, committed: 3, shipped: 0 })
    expect(scene.held()).toBe(20)
    scene.accept(scene.ship({ A: 3 }, 'east'))
    scene.accept(scene.ship())
    expect(scene.order().status).toBe('completed')
  })
  test('and are nowhere else are cancelled, and their price goes back', () => {
    const scene = captured({ A: 10 })
    scene.accept(scene.shortPick({ A: 2 }))
    expect(scene.order()).toMatchObject({ status: 'confirmed', cancelled: [2] })
    expect(scene.life().refunds).toMatchObject([{ amount: 10 }])
    expect(scene.row(1)).toEqual({ onHand: 3, reserved: 0, committed: 3, shipped: 0 })
  })
  test('and were all there was cancel the order', () => {
    const scene = captured({ A: 10 })
    scene.accept(scene.shortPick({ A: 5 }))
    scene.accept(scene.shortPick({ A: 5 }, 'east'))
    expect(scene.order()).toMatchObject({ status: 'cancelled', cancelReason: 'short' })
    expect(scene.held()).toBe(0)
  })
})

test('damaged goods come back for their price, and not on the shelf', () => {
  const scene = captured()
  scene.accept(scene.ship())
  scene.accept(scene.askReturn({ A: 2 }))
  scene.accept(scene.receive({ A: 2 }, false))
  expect(scene.row(1)).toEqual({ onHand: 1, reserved: 0, committed: 0, shipped: 4 })
  expect(scene.held()).toBe(10)
  expect(scene.order().status).toBe('completed')
})

test('goods come back to where they were shipped from, the last parcel first', () => {
  const scene = captured({ A: 6 })
  scene.accept(scene.ship(null, 'east'))
  scene.accept(scene.ship(null, 'main'))
  for (let unit = 0; unit < 6; unit++) {
    scene.accept(scene.askReturn({ A: 1 }))
    scene.accept(scene.receive({ A: 1 }))
  }
  expect([scene.row(1).onHand, scene.row(2).onHand]).toEqual([5, 5])
})
