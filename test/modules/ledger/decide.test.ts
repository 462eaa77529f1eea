// What events book: each by example, and by property that over any lives of orders the ledger says what the orders say, and
// that nobody owes anything once nothing is under way.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CellName, ShopId, Uuid } from '../../../src/base/ids.ts'
import type { Currency, MinorUnits } from '../../../src/base/money.ts'
import { instant } from '../../../src/base/time.ts'
import { bookedTypes, entriesOf, eventOf, isUnderWay } from '../../../src/modules/ledger/decide.ts'
import type { Booking, Entry } from '../../../src/modules/ledger/types.ts'
import { lifeOf } from '../../../src/modules/orders/money.ts'
import type { Order } from '../../../src/modules/orders/types.ts'
import { anyLife } from '../orders/life-any.ts'
import { atShipment, card, openScene } from '../orders/life-given.ts'
import { type PlayedLife, playLife } from './lives.ts'

const order_id = 'ord_eu1_01m83e52mxemrrda1f1s17zv95'
const payment_id = 'pay_eu1_01m83e52mxemrrda1f1s17zv96'
const currency = 'EUR' as Currency
const short = (entries: readonly Entry[]) =>
  entries.map(({ line, debit, credit, amount }) => `${line} ${debit} to ${credit} ${amount}`)
const booked = (type: string, data: object) =>
  short(entriesOf(type, { order_id, payment_id, currency, ...data } as Parameters<typeof entriesOf>[1]))

describe('what is booked', () => {
  const money = { amount: 1_000, provider: 'test' }
  test.each<[string, object, string[]]>([
    ['order.confirmed', { amount: 1_000 }, ['1 receivable to sales 1000']],
    [
      'order.confirmed',
      { amount: 1_000, provider: 'none' },
      ['1 receivable to sales 1000', '2 external to receivable 1000'],
    ],
    ['order.confirmed', { amount: 0, provider: 'none' }, []],
    ['order.cancelled', { credited: 700 }, ['1 sales to receivable 700']],
    ['order.cancelled', {}, []],
    ['order.lines_cancelled', { credited: 300 }, ['1 sales to receivable 300']],
    ['order.credited', { amount: 300, credited: 300 }, ['1 sales to receivable 300']],
    ['order.credited', { amount: 300 }, []],
    ['return.received', { credited: 500 }, ['1 sales to receivable 500']],
    ['return.received', { credited: 0 }, []],
    ['payment.authorized', { ...money, authorized: 1_000 }, ['1 authorized:test to authorizations 1000']],
    ['payment.authorized', money, []],
    [
      'payment.captured',
      { ...money, amount: 900, authorized: 1_000 },
      ['1 authorizations to authorized:test 1000', '2 provider:test to receivable 900'],
    ],
    ['payment.captured', { amount: 1_000, provider: 'none' }, ['2 external to receivable 1000']],
    ['payment.voided', { ...money, authorized: 1_000 }, ['1 authorizations to authorized:test 1000']],
    ['payment.voided', money, []],
    ['payment.failed', { ...money, authorized: 1_000 }, ['1 authorizations to authorized:test 1000']],
    ['payment.failed', money, []],
    ['payment.refunded', money, ['1 receivable to provider:test 1000']],
    ['payment.refunded', { amount: 1_000, provider: 'none' }, ['1 receivable to external 1000']],
    ['payment.refund_requested', money, []],
    ['payment.refund_failed', money, []],
    ['payment.refund_failed', { ...money, taken_back: 1_000 }, ['1 taken_back:test to receivable 1000']],
    ['order.unpaid', { credited: 700 }, ['1 sales to receivable 700']],
    ['order.unpaid', {}, []],
    ['order.placed', { total: 1_000 }, []],
  ])('%s %o', (type, data, entries) => {
    expect(booked(type, data)).toEqual(entries)
  })

  const booking: Booking = {
    shopId: 1 as ShopId,
    id: '00000000-0000-7000-8000-000000000001' as Uuid,
    at: instant(0),
    kind: 'fee',
    orderId: '019d06e2-8a9d-7531-86a8-2f0e5c9fecc1' as Uuid,
    owedBy: null,
    currency,
    amount: 30 as MinorUnits,
    reason: 'card fee',
  }
  const byHand = (more: Partial<Booking>) => {
    const { type, data } = eventOf({ ...booking, ...more }, 'eu1' as CellName, booking.id)
    return entriesOf(type, data as Parameters<typeof entriesOf>[1])
  }
  test('by hand: a fee, and a write-off of what the buyer owes or is owed', () => {
    expect(short(byHand({}))).toEqual(['1 fees to payable 30'])
    expect(short(byHand({ kind: 'written_off', owedBy: 'buyer' }))).toEqual(['1 written_off to receivable 30'])
    expect(short(byHand({ kind: 'written_off', owedBy: 'shop' }))).toEqual(['1 receivable to written_off 30'])
    expect(byHand({})[0]).toMatchObject({ orderId: booking.orderId, paymentId: null })
  })

  test('an event that tells of money and names no order is a fault', () => {
    expect(() => entriesOf('order.confirmed', { amount: 1, currency })).toThrow(/names no order/)
    expect(() => entriesOf('order.confirmed', { amount: 1, order_id })).toThrow(/names no order or currency/)
  })
})

describe('what the events say', () => {
  test('an authorization ends with the event that says so, and only then', () => {
    const captured = openScene({ A: 2 }, { ...card(), ...atShipment })
    captured.accept(captured.says('authorized'))
    captured.accept(captured.ship())
    captured.accept(captured.says('captured'))
    expect(captured.eventsOf('payment.captured')).toMatchObject([{ amount: 10, authorized: 10 }])
    const atOnce = openScene({ A: 2 }, card())
    atOnce.accept(atOnce.says('captured'))
    expect(atOnce.eventsOf('payment.authorized')).toMatchObject([{ amount: 10 }])
    for (const type of ['payment.authorized', 'payment.captured'])
      expect(atOnce.eventsOf(type)[0]).not.toHaveProperty('authorized')
    const declined = openScene({ A: 2 }, card())
    declined.accept(declined.says('failed'))
    expect(declined.eventsOf('payment.failed')[0]).not.toHaveProperty('authorized')
    const lost = openScene({ A: 2 }, { ...card(), ...atShipment })
    lost.accept(lost.says('authorized'))
    lost.accept(lost.says('voided'))
    expect(lost.eventsOf('payment.voided')).toMatchObject([{ authorized: 10 }])
  })

  test('a refund is credited only against a sale that was booked', () => {
    const scene = openScene({ A: 2 }, { provider: 'none' })
    scene.accept(scene.refund(3))
    expect(scene.eventsOf('order.credited')).toMatchObject([{ amount: 3, credited: 3, currency: 'EUR' }])
    const reviewed = openScene({ A: 2 }, { ...card(), review: ['amount'] })
    reviewed.accept(reviewed.says('captured'))
    reviewed.accept(reviewed.refund(3))
    expect(reviewed.eventsOf('order.credited')).toMatchObject([{ amount: 3, currency: 'EUR' }])
    expect(reviewed.eventsOf('order.credited')[0]).not.toHaveProperty('credited')
    reviewed.accept(reviewed.review(true))
    expect(reviewed.eventsOf('order.confirmed')).toMatchObject([{ amount: 7 }])
  })
})

/** The accounts of one order, by its events alone. */
function accountsOf({ events }: PlayedLife, { id }: Order) {
  const net = new Map<string, number>()
  const add = (account: string, amount: number) => net.set(account, (net.get(account) ?? 0) + amount)
  for (const { type, data } of events) {
    for (const { orderId, debit, credit, amount } of entriesOf(type, data)) {
      if (orderId !== id) continue
      add(debit, amount)
      add(credit, -amount)
    }
  }
  return (account: string): number => net.get(account) ?? 0
}

const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0)

function expectBooked(played: PlayedLife): void {
  for (const order of played.orders) {
    const account = accountsOf(played, order)
    const { payments, refunds, credited } = lifeOf(order)
    const isBooked = order.status === 'confirmed' || order.status === 'completed'
    expect(0 - account('sales')).toBe(isBooked ? order.total - credited : 0)
    expect(account('authorized:test')).toBe(
      sum(payments.map(({ status, amount }) => (status === 'authorized' ? amount : 0))),
    )
    for (const [name, provider] of [
      ['provider:test', 'test'],
      ['external', 'none'],
    ] as const) {
      const own = payments.filter((one) => one.provider === provider)
      const back = refunds.filter((one) => one.status === 'refunded' && own.some(({ id }) => id === one.paymentId))
      const held = account(name) + account(`taken_back:${provider}`)
      expect(held).toBe(sum(own.map(({ captured }) => captured)) - sum(back.map(({ amount }) => amount)))
    }
    const paid = account('provider:test') + account('taken_back:test') + account('external')
    expect(account('receivable')).toBe(0 - account('sales') - paid)
  }
}

describe('over any lives', () => {
  test('the ledger says at every moment what the orders say', () => {
    fc.assert(
      fc.property(anyLife, (life) => {
        playLife(life, expectBooked)
      }),
      { numRuns: 60 },
    )
  })

  test('once nothing is under way nobody owes anything, and the provider holds what the accounts say', () => {
    let settled = 0
    fc.assert(
      fc.property(anyLife, (life) => {
        const played = playLife(life)
        expectBooked(played)
        for (const order of played.orders) {
          const account = accountsOf(played, order)
          const charges = [...played.provider.charges.values()].filter(({ orderId }) => orderId === order.id)
          const held = charges.map(({ captured, refunds }) => captured - sum([...refunds.values()]))
          expect(account('provider:test') + account('taken_back:test')).toBe(sum(held))
          if (isUnderWay(order)) continue
          settled++
          expect(account('receivable')).toBe(0)
          expect(account('authorizations')).toBe(0)
        }
      }),
      { numRuns: 200 },
    )
    expect(settled).toBeGreaterThan(100)
  })

  test('every type that is read is booked in some life, or by hand', () => {
    const seen = new Set<string>(['ledger.booked'])
    for (const life of fc.sample(anyLife, { numRuns: 1_000, seed: 1 })) {
      for (const { type, data } of playLife(life).events) if (entriesOf(type, data).length > 0) seen.add(type)
    }
    expect([...bookedTypes].filter((type) => !seen.has(type))).toEqual([])
  })
})
