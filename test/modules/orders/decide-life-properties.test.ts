// The life of orders, by property: after any sequence of commands and of what a provider says, in any order, doubled, late and
// wrong at first, money and units add up.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Uuid } from '../../../src/base/ids.ts'
import type { BatchState } from '../../../src/modules/orders/batch-state.ts'
import { decideBatch } from '../../../src/modules/orders/decide.ts'
import { lifeOf } from '../../../src/modules/orders/money.ts'
import {
  type OrderStatus,
  orderTable,
  type PaymentStatus,
  paymentTable,
  type ShipmentStatus,
  shipmentTable,
} from '../../../src/modules/orders/states.ts'
import type { Command, Order } from '../../../src/modules/orders/types.ts'
import type { StockRow } from '../../../src/modules/stock/types.ts'
import { carryOn, freshState, submit, traceOf } from './decide-given.ts'
import { anyLife, commandOf, createProvider, placing, type Said, type Step } from './life-any.ts'
import { shopId } from './life-given.ts'

type Provider = ReturnType<typeof createProvider>
type World = { state: BatchState; provider: Provider; orders: Uuid[] }

/** Plays a life; `look` sees every order after every step, with what it was before. */
function inEveryLife(
  check: {
    look?: (order: Order, before: Order | undefined, world: World) => void
    state?: (state: BatchState, before: BatchState) => void
    end?: (order: Order, world: World) => void
  },
  numRuns = 150,
): void {
  fc.assert(
    fc.property(anyLife, ({ orders, steps }) => {
      const world: World = { state: freshState(), provider: createProvider(), orders: [] }
      const run = (command: Command, elapsedMs = 0) => {
        const before = carryOn(world.state, elapsedMs)
        decideBatch(before, [])
        world.provider.hear(before.events)
        world.state = carryOn(before, 0)
        const trace = traceOf(world.state)
        const given = carryOn(world.state, 0)
        const [outcome] = decideBatch(world.state, [submit(command)])
        if (!outcome!.ok) expect(traceOf(world.state)).toEqual(trace)
        world.provider.hear(world.state.events)
        for (const id of world.orders) check.look?.(world.state.orders.get(id)!, before.orders.get(id), world)
        check.state?.(world.state, given)
        return outcome!
      }
      for (const order of orders) {
        const command = placing(order)
        if (run(command).ok) world.orders.push(command.orderId)
      }
      for (const step of steps) play(world, step, run)
      settleAll(world, run)
      for (const id of world.orders) check.end?.(world.state.orders.get(id)!, world)
    }),
    { numRuns },
  )
}

type Run = (command: Command, elapsedMs?: number) => unknown
const settle = (run: Run, said: Said | null): void => {
  if (said) run({ kind: 'settle', shopId, ...said })
}

function play({ state, provider, orders }: World, step: Step, run: Run): void {
  switch (step.kind) {
    case 'command': {
      const order = state.orders.get(orders[step.which]!)
      const command = order && commandOf(step.asked, order, lifeOf(order))
      if (command) run(command)
      break
    }
    case 'answer': {
      const said = provider.answer(step.nth, step.outcome)
      if (step.atOnce) settle(run, said) // else it comes when all is settled, or by `again`
      break
    }
    case 'again':
      settle(run, provider.said[step.nth % Math.max(1, provider.said.length)] ?? null)
      break
    case 'truth':
      settle(run, provider.truth(step.nth))
      break
    case 'lapse':
      provider.lapse(step.nth)
      break
    case 'take back':
      settle(run, provider.takeBack(step.nth))
      break
    case 'drop':
      settle(run, provider.drop(step.nth, step.outcome))
      break
    case 'time':
      run({ kind: 'expire_due', limit: 10 }, step.ms)
  }
}

/** Everything asked is answered, nothing is declined any more, and the record is told as it is; what nobody voids runs out. */
function settleAll(world: World, run: Run): void {
  const { provider } = world
  for (let round = 0; round < 50; round++) {
    provider.makeAgain()
    for (const [id, charge] of provider.charges) {
      const payment = lifeOf(world.state.orders.get(charge.orderId)!).payments.find((one) => one.id === id)
      if (payment?.givenUp === 'void' && charge.status === 'authorized') charge.status = 'voided'
    }
    while (provider.open.length > 0) settle(run, provider.answer(0, 'does'))
    for (const said of provider.said.filter((one) => one.settlement.of === 'refund')) settle(run, said)
    for (let charge = 0; charge < provider.charges.size; charge++) settle(run, provider.truth(charge))
    if (provider.open.length === 0) return
  }
  throw new Error('the provider is asked for ever')
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0)

/** What the order costs by its own facts, not by its books: the total less what was credited. */
const standingCost = (order: Order): number => (order.status === 'cancelled' ? 0 : order.total - lifeOf(order).credited)

test('when all is answered, what the provider holds is what the standing order costs', () => {
  inEveryLife({
    end(order, { provider }) {
      const life = lifeOf(order)
      const charges = [...provider.charges.values()].filter(({ orderId }) => orderId === order.id)
      const elsewhere = sum(life.payments, (payment) => (payment.provider === 'none' ? payment.captured : 0))
      const elsewhereBack = sum(life.refunds, ({ paymentId, amount }) =>
        life.payments.find(({ id }) => id === paymentId)?.provider === 'none' ? amount : 0,
      )
      const held =
        sum(charges, ({ captured, refunds }) => captured - sum([...refunds.values()], (amount) => amount)) +
        elsewhere -
        elsewhereBack
      const cost = standingCost(order)
      expect(held).toBeLessThanOrEqual(cost)
      const setAside = sum(charges, ({ status, amount }) => (status === 'authorized' ? amount : 0))
      const isSettled = life.captureRule === 'now' && order.status === 'confirmed'
      if (order.status === 'cancelled' || order.status === 'completed' || isSettled) {
        expect(held).toBe(cost)
        expect(setAside).toBe(0)
      } else if (setAside > 0) {
        expect(held + setAside).toBeLessThanOrEqual(order.total)
      }
    },
  })
})

test('never is more given back than was taken, of any payment, nor more credited than the order cost', () => {
  inEveryLife({
    look(order) {
      const { payments, refunds, credited, creditedUnits } = lifeOf(order)
      for (const payment of payments) {
        const back = sum(refunds, ({ paymentId, amount }) => (paymentId === payment.id ? amount : 0))
        expect(back).toBeLessThanOrEqual(payment.captured)
      }
      expect(credited).toBeLessThanOrEqual(order.total)
      for (const [index, units] of creditedUnits.entries())
        expect(units).toBeLessThanOrEqual(order.lines[index]!.quantity)
    },
  })
})

test('an order of which everything is credited unit by unit has cost nothing, to the minor unit', () => {
  inEveryLife({
    look(order) {
      const { creditedUnits, credited } = lifeOf(order)
      if (order.lines.every(({ quantity }, index) => creditedUnits[index] === quantity))
        expect(credited).toBe(order.total)
    },
  })
})

test('of every line, what is open, shipped and cancelled is what was ordered', () => {
  inEveryLife({
    look(order) {
      if (order.status === 'cancelled') return
      const life = lifeOf(order)
      for (const [index, line] of order.lines.entries()) {
        const shipped = sum(life.shipments.filter(hasLeft), ({ lines }) =>
          sum(lines, (one) => (one.line === index ? one.quantity : 0)),
        )
        const cancelled = order.cancelled?.[index] ?? 0
        const open = life.open
          ? sum(life.open[index]!, ({ quantity }) => quantity)
          : line.quantity - shipped - cancelled
        expect(open + shipped + cancelled).toBe(line.quantity)
        expect(Math.min(open, shipped, cancelled)).toBeGreaterThanOrEqual(0)
        const back = sum(life.returns, ({ received }) =>
          sum(received, (one) => (one.line === index ? one.quantity : 0)),
        )
        expect(back).toBeLessThanOrEqual(shipped)
      }
    },
  })
})

test('counters of stock rows are the sums over the orders, and the events tell every movement', () => {
  inEveryLife({
    state(state, before) {
      const sums = new Map([...state.rowById.keys()].map((id) => [id as number, [0, 0, 0]]))
      for (const order of state.orders.values()) {
        if (order.status === 'cancelled') continue
        const life = lifeOf(order)
        const column = order.status === 'pending' || order.status === 'in_review' ? 0 : 1
        for (const [index, line] of order.lines.entries()) {
          let left = line.quantity - (order.cancelled?.[index] ?? 0)
          for (const { row, quantity } of life.open?.[index] ?? line.allocations) {
            sums.get(row)![column]! += Math.min(left, quantity)
            left -= Math.min(left, quantity)
          }
        }
        for (const { lines } of life.shipments.filter(hasLeft))
          for (const { row, quantity } of lines) sums.get(row)![2]! += quantity
      }
      for (const row of state.rowById.values())
        expect([row.reserved, row.committed, row.shipped], `row ${row.id}`).toEqual(sums.get(row.id))
      const moved = new Map([...before.rowById].map(([id, row]) => [id as number, countersOf(row)]))
      for (const { moves } of state.events) {
        for (let at = 0; at < moves.length; at += 5) {
          const row = moved.get(moves[at]!)!
          for (let column = 0; column < 4; column++) row[column]! += moves[at + 1 + column]!
        }
      }
      for (const row of state.rowById.values()) expect(moved.get(row.id)).toEqual(countersOf(row))
    },
  })
})

/** Apart from the code under test. */
const hasLeft = ({ status }: { status: ShipmentStatus }): boolean => status === 'shipped' || status === 'delivered'
const isWaiting = ({ status }: { status: ShipmentStatus }): boolean => status === 'picking' || status === 'packed'

test('parcels hold together never more than is open, row by row, and none is empty or stays when all is over', () => {
  inEveryLife({
    look(order) {
      const life = lifeOf(order)
      const waiting = life.shipments.filter(isWaiting)
      if (order.status === 'cancelled' || order.status === 'completed') expect(waiting).toEqual([])
      for (const { lines } of life.shipments.filter((one) => isWaiting(one) || hasLeft(one)))
        expect(Math.min(0, ...lines.map(({ quantity }) => quantity))).toBe(0)
      for (const { lines } of waiting) expect(sum(lines, ({ quantity }) => quantity)).toBeGreaterThan(0)
      for (const index of order.lines.keys()) {
        const held = new Map<number, number>()
        for (const { lines } of waiting)
          for (const { line, row, quantity } of lines)
            if (line === index) held.set(row, (held.get(row) ?? 0) + quantity)
        for (const [row, quantity] of held) {
          const open = sum(life.open![index]!, (one) => (one.row === row ? one.quantity : 0))
          expect(quantity).toBeLessThanOrEqual(open)
        }
      }
    },
  })
})

const countersOf = (row: StockRow): number[] => [row.onHand, row.reserved, row.committed, row.shipped]

test('no status becomes another but as its table says, and ends where it should', () => {
  inEveryLife({
    look(order, before) {
      if (!before) return
      const steps = pathOf(order, before)
      for (const [from, to] of steps) expect(orderTable[from][to], `${from} to ${to}`).toBeDefined()
      for (const payment of lifeOf(order).payments) {
        const was: PaymentStatus | undefined = lifeOf(before).payments.find(({ id }) => id === payment.id)?.status
        if (was && was !== payment.status) expect(paymentTable[was][payment.status]).toBeDefined()
      }
      for (const { id, status } of lifeOf(order).shipments) {
        const was = lifeOf(before).shipments.find((one) => one.id === id)?.status
        if (was && was !== status) expect(shipmentTable[was][status], `${was} to ${status}`).toBeDefined()
      }
      if (order.status === 'completed' && before.status !== 'completed') {
        const { payments, refunds, open } = lifeOf(order)
        expect(sum(payments, ({ captured }) => captured) - sum(refunds, ({ amount }) => amount)).toBe(
          standingCost(order),
        )
        expect(sum(open ?? [], (allocations) => sum(allocations, ({ quantity }) => quantity))).toBe(0)
      }
    },
  })
})

/** A batch may take more than one step: an order whose last unit is cancelled as it is confirmed is completed at once. */
function pathOf(order: Order, before: Order): [OrderStatus, OrderStatus][] {
  const [from, to] = [before.status, order.status]
  if (from === to) return []
  if (to === 'completed' && from !== 'confirmed')
    return [
      [from, 'confirmed'],
      ['confirmed', 'completed'],
    ]
  return [[from, to]]
}

test('no two attempts are open at once, and no goods leave an order that is not confirmed', () => {
  inEveryLife({
    look(order, before, { provider }) {
      const pending = lifeOf(order).payments.filter(
        ({ status }) => status === 'pending' || status === 'requires_action',
      )
      expect(pending.length).toBeLessThanOrEqual(1)
      const asked = provider.open.filter(({ kind, orderId }) => kind === 'authorize' && orderId === order.id)
      expect(asked.length).toBeLessThanOrEqual(1 + lifeOf(order).payments.filter(isCorrected).length)
      const leftOf = (one: Order) => lifeOf(one).shipments.filter(hasLeft).length
      if (leftOf(order) > (before ? leftOf(before) : 0)) expect(before!.status).toBe('confirmed')
    },
  })
})

/** Ended by word of the provider while the answer to the attempt itself is still open. */
const isCorrected = ({ status }: { status: PaymentStatus }): boolean =>
  status !== 'pending' && status !== 'requires_action'

test('an order stays confirmed or in review only while its money is there, or after goods have left', () => {
  let unpaid = 0
  inEveryLife({
    look(order) {
      const { payments, refunds, shipments } = lifeOf(order)
      unpaid += order.status === 'pending' && payments.length > 0 ? 1 : 0
      if (order.status !== 'confirmed' && order.status !== 'in_review') return
      if (shipments.some(({ shippedAt }) => shippedAt !== undefined)) return
      const held = sum(payments, ({ captured }) => captured) - sum(refunds, ({ amount }) => amount)
      const isStanding = ({ status, asked }: (typeof payments)[number]) => status === 'authorized' && asked !== 'void'
      const setAside = sum(payments.filter(isStanding), ({ amount }) => amount)
      expect(held + setAside).toBeGreaterThanOrEqual(standingCost(order))
    },
  })
  expect(unpaid).toBeGreaterThan(100)
})

test('what is due is done: when the sweeper has looked, nothing is due, and every authorization has a time or was asked about', () => {
  inEveryLife({
    look(order, _, { state }) {
      const again = carryOn(state, 0)
      for (let turn = 0; turn < 2; turn++) decideBatch(again, [])
      const { expiresAt, status, life } = again.orders.get(order.id)!
      expect(expiresAt === null || expiresAt > again.now).toBe(true)
      if (status === 'cancelled' || status === 'completed') expect(expiresAt).toBeNull()
      else if (
        life?.payments.some((one) => one.status === 'authorized' && one.asked === null && one.givenUp !== 'void')
      )
        expect(expiresAt).not.toBeNull()
    },
  })
})
