// The one rule for money, case by case: whatever a provider says, however late and however often, what is held in the end is
// what the standing order costs. And what units cost when they are counted one by one.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { priceOf } from '../../../src/modules/orders/money.ts'
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
    expect(scene.refusal(scene.refundIs('failed'))).toBe('accepted')
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
